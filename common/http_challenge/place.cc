#include "common/http_challenge/place.h"

#include "absl/strings/str_cat.h"
#include "common/listen/listen_address.h"

namespace certcast {

std::string HttpChallengePlace::ToString() const {
  if (!webroot.empty()) return absl::StrCat("webroot ", webroot);
  return listen.empty() ? "" : absl::StrCat("listen ", listen);
}

std::string ReadChallengeListen(const yaml::Value& value) {
  std::string listen = value.Text("an address and a port to listen on: 0.0.0.0:80");
  if (!listen.empty()) value.Fail(ParseListenAddress(listen).status());
  return listen;
}

HttpChallengePlace ReadHttpChallengePlace(const yaml::Value& value) {
  HttpChallengePlace place;
  if (!value) return place;
  const yaml::Map map = value.ReadMap(R"({webroot: /var/www/acme} or {listen: "0.0.0.0:80"})", {"webroot", "listen"});
  const yaml::Value where = map.RequireOneOf({"webroot", "listen"});
  if (!where) return place;
  if (where.key() == "webroot") {
    place.webroot = where.Path();
  } else {
    place.listen = ReadChallengeListen(where);
  }
  return place;
}

}  // namespace certcast
