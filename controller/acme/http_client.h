// One HTTPS exchange with a CA. An interface, so that a test can be the CA, or the broken line to it.
#ifndef CERTCAST_CONTROLLER_ACME_HTTP_CLIENT_H_
#define CERTCAST_CONTROLLER_ACME_HTTP_CLIENT_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::controller {

struct HttpRequest {
  // GET, HEAD or POST.
  std::string method = "GET";
  // Absolute, https unless plain_http.
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // For the whole exchange.
  absl::Duration timeout = absl::Seconds(60);
  // PEM file of the only roots that are trusted; empty: the system's.
  std::string ca_file;
  // The URL may be http: what is asked is no secret, and the answer is signed.
  bool plain_http = false;
};

struct HttpResponse {
  int status = 0;
  // In order, names in lower case.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // The first of that name (in lower case); empty when there is none.
  absl::string_view Header(absl::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return "";
  }
};

// Thread-safe.
class HttpClient {
 public:
  static constexpr size_t kMaxBody = 1024 * 1024;

  virtual ~HttpClient() = default;

  // Any answer is a success, whatever its status. Errors: no answer came (NO_ROUTE, TIMED_OUT, LINK_LOST), the peer's
  // certificate is not trusted (AUTH_FAILED), the answer is larger than kMaxBody or no HTTP (PROTOCOL), the URL is not
  // https, nor http where that may be (kInvalidArgument). Never retried here: after an error of a POST it is not known
  // whether it arrived.
  virtual absl::StatusOr<HttpResponse> Perform(const HttpRequest& request) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_HTTP_CLIENT_H_
