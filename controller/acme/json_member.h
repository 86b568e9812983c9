// Members of JSON that somebody else wrote.
#ifndef CERTCAST_CONTROLLER_ACME_JSON_MEMBER_H_
#define CERTCAST_CONTROLLER_ACME_JSON_MEMBER_H_

#include <nlohmann/json.hpp>
#include <string>

namespace certcast::controller {

// The text under that name; empty where there is none, or `json` is no object.
inline std::string TextMember(const nlohmann::json& json, const char* name) {
  const auto member = json.is_object() ? json.find(name) : json.end();
  return member != json.end() && member->is_string() ? member->get<std::string>() : "";
}

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_JSON_MEMBER_H_
