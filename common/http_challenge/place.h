// Where http-01 tokens go, as operators write it: {webroot: /var/www/acme} or {listen: "0.0.0.0:80"}.
#ifndef CERTCAST_COMMON_HTTP_CHALLENGE_PLACE_H_
#define CERTCAST_COMMON_HTTP_CHALLENGE_PLACE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "common/yaml/value.h"

namespace certcast {

// One of them is set, or none.
struct HttpChallengePlace {
  // Absolute.
  std::string webroot;
  // host:port; the host is digits.
  std::string listen;

  bool empty() const { return webroot.empty() && listen.empty(); }
  // `webroot /var/www/acme`, `listen 0.0.0.0:80`; empty: none.
  std::string ToString() const;

  friend bool operator==(const HttpChallengePlace&, const HttpChallengePlace&) = default;
};

// Errors go to the document. Nothing there: an empty one.
HttpChallengePlace ReadHttpChallengePlace(const yaml::Value& value);
// The address of a listener for http-01.
std::string ReadChallengeListen(const yaml::Value& value);

}  // namespace certcast

#endif  // CERTCAST_COMMON_HTTP_CHALLENGE_PLACE_H_
