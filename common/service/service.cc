#include "common/service/service.h"

#include <algorithm>

namespace certcast {

std::vector<std::string> Service::Certificates() const {
  std::vector<std::string> names;
  for (const ServiceFile& file : files) {
    const std::string& name = CertificateOf(file);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::vector<const ServiceFile*> Service::FilesOf(absl::string_view of_certificate) const {
  std::vector<const ServiceFile*> found;
  for (const ServiceFile& file : files) {
    if (CertificateOf(file) == of_certificate) found.push_back(&file);
  }
  return found;
}

}  // namespace certcast
