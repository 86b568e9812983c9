#include "common/x509/openssl_errors.h"

#include <openssl/err.h>

#include "absl/strings/str_cat.h"

namespace certcast {

std::string TakeOpensslErrors() {
  std::string line;
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    const char* reason = ERR_reason_error_string(code);
    if (!line.empty()) line += "; ";
    if (reason != nullptr) {
      line += reason;
    } else {
      absl::StrAppend(&line, "error ", code);
    }
    if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') absl::StrAppend(&line, " (", data, ")");
  }
  return line;
}

}  // namespace certcast
