#include "controller/cli/absolute_path.h"

#include <filesystem>
#include <system_error>

namespace certcast::controller::cli {

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.string();
}

}  // namespace certcast::controller::cli
