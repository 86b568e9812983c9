#include "controller/cli/issued.h"

#include <algorithm>

#include "common/status/status.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {

void PrintCertificates(std::ostream& out, const IssuedCertificates& certificates, bool future) {
  for (const auto& certificate : certificates) {
    if (certificate.has_failure()) continue;
    out << certificate.name() << ": ";
    if (future && certificate.issued()) {
      out << "would be obtained";
    } else if (certificate.generation() == 0) {
      out << "there is none yet";
    } else {
      out << "generation " << certificate.generation() << ", expires " << ShowTime(certificate.not_after())
          << ", SHA-256 " << certificate.leaf_sha256();
      if (certificate.issued()) out << ", obtained now";
    }
    if (!certificate.renew_reason().empty()) out << " (" << certificate.renew_reason() << ")";
    out << "\n";
  }
}

int ReportFailures(std::ostream& err, const IssuedCertificates& certificates) {
  int code = kDone;
  for (const auto& certificate : certificates) {
    if (!certificate.has_failure()) continue;
    ReportError(err, Annotate(StatusOf(certificate.failure()), certificate.name()));
    code = kFailed;
  }
  return code;
}

bool AnyMissing(const IssuedCertificates& certificates) {
  return std::any_of(certificates.begin(), certificates.end(),
                     [](const auto& certificate) { return certificate.generation() == 0; });
}

}  // namespace certcast::controller::cli
