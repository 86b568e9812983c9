#include "common/service/read_endpoint.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/yaml/first_seen.h"

namespace certcast {
namespace {

constexpr size_t kMaxHandshakes = 64;
constexpr absl::string_view kNameHint = "the name that clients ask for, such as www.example.com";

// Of `one: TEXT` or `several: [TEXT, ...]`, read by `read`.
template <typename Read>
std::vector<std::string> OneOrSeveral(const yaml::Map& map, absl::string_view one, absl::string_view several,
                                      Read read) {
  const yaml::Value list = map.Find(several);
  if (const yaml::Value single = map.Find(one)) {
    if (list) list.Fail(absl::StrCat("found ", one, " and ", several, ", expected one of them"));
    return {read(single)};
  }
  std::vector<std::string> texts;
  yaml::FirstSeen seen(absl::StrCat("the ", one));
  for (const yaml::Value& item : list.Items(absl::StrCat("a list of at least one ", one), 1, kMaxHandshakes)) {
    texts.push_back(read(item));
    seen.Add(texts.back(), item);
  }
  return texts;
}

}  // namespace

std::vector<absl::string_view> EndpointKeys(const std::vector<absl::string_view>& more) {
  std::vector<absl::string_view> keys = {"address", "addresses", "server_name", "server_names", "starttls"};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

Endpoints ReadEndpoints(const yaml::Map& map, bool requires_name, const DefaultEndpoint* standard) {
  Endpoints endpoints;
  const bool is_standard = standard != nullptr && !map.Find("address") && !map.Find("addresses");
  if (!is_standard && !map.Find("addresses")) map.Require("address");
  if (requires_name && !map.Find("server_names")) map.Require("server_name", kNameHint);
  endpoints.addresses =
      OneOrSeveral(map, "address", "addresses", [](const yaml::Value& value) { return value.HostPort(); });
  if (is_standard) {
    endpoints.addresses = {std::string(standard->address)};
    endpoints.starttls = standard->starttls;
  }
  endpoints.server_names =
      OneOrSeveral(map, "server_name", "server_names", [](const yaml::Value& value) { return value.HostName(); });
  const size_t handshakes = endpoints.addresses.size() * std::max<size_t>(1, endpoints.server_names.size());
  if (handshakes > kMaxHandshakes) {
    map.value().Fail(absl::StrCat("found ", endpoints.addresses.size(), " addresses with ",
                                  endpoints.server_names.size(), " server names each, which are ", handshakes,
                                  " handshakes, expected at most ", kMaxHandshakes));
  }
  if (const yaml::Value starttls = map.Find("starttls")) {
    std::vector<absl::string_view> words;
    for (const StartTlsName& entry : StartTlsNames()) words.push_back(entry.name);
    const std::string word = starttls.Word(words);
    for (const StartTlsName& entry : StartTlsNames()) {
      if (entry.name == word) endpoints.starttls = entry.protocol;
    }
  }
  return endpoints;
}

}  // namespace certcast
