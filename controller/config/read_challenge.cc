#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/probe/address.h"
#include "common/yaml/grammar.h"
#include "controller/config/read_txt_writer.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kLeastTimeout = absl::Seconds(1);
constexpr absl::Duration kMostTimeout = absl::Hours(1);
constexpr size_t kMaxResolvers = 16;

// False, and an error, when this version can't do it.
bool CheckType(const yaml::Value& type, const std::vector<std::string>& domains) {
  if (!type.is_text() || (type.Text() != "http-01" && type.Text() != "tls-alpn-01")) {
    type.Word({"dns-01"});
    return true;
  }
  const auto wildcard = std::find_if(domains.begin(), domains.end(),
                                     [](const std::string& name) { return absl::StartsWith(name, "*."); });
  if (wildcard != domains.end()) {
    type.FailExpected(absl::StrCat("dns-01 for the wildcard ", Quoted(*wildcard)),
                      "one server's answer is no proof for all names below a domain "
                      "(CA/Browser Forum Baseline Requirements 3.2.2.4.19, 3.2.2.4.20)");
  } else {
    type.FailExpected("dns-01", absl::StrCat(type.Text(), " is not supported by this version"));
  }
  return false;
}

std::string ReadResolver(const yaml::Value& value) {
  std::string address = value.HostPort();
  if (!address.empty() && !IsNumericAddress(ParseHostPort(address)->host)) {
    value.FailExpected("the address of a resolver, such as 127.0.0.1:53", "a name would need a resolver itself");
  }
  return address;
}

ChallengeConfig::Propagation ReadPropagation(const yaml::Value& value) {
  ChallengeConfig::Propagation propagation;
  if (!value) return propagation;
  const yaml::Map map = value.ReadMap("a map with resolvers, timeout or skip", {"resolvers", "timeout", "skip"});
  for (const yaml::Value& item : map.Find("resolvers").Items("a list of host:port", 1, kMaxResolvers)) {
    propagation.resolvers.push_back(ReadResolver(item));
  }
  propagation.timeout = map.Find("timeout").Duration(kLeastTimeout, kMostTimeout, propagation.timeout);
  propagation.skip = map.Find("skip").Boolean(propagation.skip);
  return propagation;
}

}  // namespace

ChallengeConfig ReadChallenge(const yaml::Value& value, const std::vector<std::string>& domains) {
  ChallengeConfig challenge;
  constexpr absl::string_view kExpected = "a map such as {type: dns-01, solver: exec, exec: {command: [HOOK]}}";
  if (!value.is_map()) {
    value.FailExpected(kExpected);
    return challenge;
  }
  const yaml::Value type = yaml::Map(value).Find("type");
  // The other keys of another type would be unknown ones.
  if (type && !CheckType(type, domains)) return challenge;
  std::vector<absl::string_view> keys = TxtWriterNames();
  keys.insert(keys.end(), {"type", "solver", "propagation"});
  const yaml::Map map = value.ReadMap(kExpected, keys);
  map.Require("type", "write type: dns-01");
  const yaml::Value solver = map.Require("solver", "write solver: exec");
  const std::string name = solver.Word(TxtWriterNames());
  challenge.propagation = ReadPropagation(map.Find("propagation"));
  // Which one was meant is not known.
  if (!solver || solver.Text() != name) return challenge;
  for (const absl::string_view other : TxtWriterNames()) {
    if (other == name) continue;
    map.Find(other).Fail(absl::StrCat("found ", other, ", but the solver is ", name), "remove one of the two");
  }
  ReadTxtWriter(name, map.Require(name), challenge);
  return challenge;
}

}  // namespace certcast::controller
