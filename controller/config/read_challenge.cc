#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/http_challenge/place.h"
#include "common/probe/address.h"
#include "common/yaml/grammar.h"
#include "controller/config/read_txt_writer.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kLeastTimeout = absl::Seconds(1);
constexpr absl::Duration kMostTimeout = absl::Hours(1);
constexpr size_t kMaxResolvers = 16;
constexpr int kMaxUnreachable = 100'000;

const std::vector<absl::string_view>& HttpSolverNames() {
  static const auto* const names = new std::vector<absl::string_view>{"fleet", "webroot", "listen"};
  return *names;
}

// False, and an error, when the names can't be shown so.
bool CheckType(const yaml::Value& type, const std::vector<std::string>& domains) {
  const std::string word = type.is_text() ? type.Text() : "";
  if (word != "http-01" && word != "tls-alpn-01") return type.Word({"dns-01", "http-01", "dns-persist-01"}) == word;
  const auto wildcard = std::find_if(domains.begin(), domains.end(),
                                     [](const std::string& name) { return absl::StartsWith(name, "*."); });
  if (wildcard != domains.end()) {
    type.FailExpected(absl::StrCat("dns-01 for the wildcard ", Quoted(*wildcard)),
                      "one server's answer is no proof for all names below a domain "
                      "(CA/Browser Forum Baseline Requirements 3.2.2.4.19, 3.2.2.4.20)");
    return false;
  }
  if (word == "http-01") return true;
  type.FailExpected("dns-01 or http-01", "tls-alpn-01 is not supported");
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

HttpFleet ReadFleet(const yaml::Value& value) {
  HttpFleet fleet;
  if (!value) return fleet;
  const yaml::Map map =
      value.ReadMap("a map with check, timeout or max_unreachable", {"check", "timeout", "max_unreachable"});
  fleet.check = map.Find("check").Boolean(fleet.check);
  fleet.timeout = map.Find("timeout").Duration(kLeastTimeout, kMostTimeout, fleet.timeout);
  fleet.max_unreachable = map.Find("max_unreachable").Integer(0, kMaxUnreachable, fleet.max_unreachable);
  return fleet;
}

HttpSolver ReadHttpSolver(const std::string& solver, const yaml::Map& map) {
  if (solver == "webroot") {
    const yaml::Map webroot =
        map.Require("webroot", "write webroot: {path: /var/www}").ReadMap("a map with path", {"path"});
    return HttpWebroot{webroot.Require("path", "the document root of the web server that answers on port 80").Path()};
  }
  if (solver == "listen") {
    const yaml::Map listen =
        map.Require("listen", R"(write listen: {address: "0.0.0.0:80"})").ReadMap("a map with address", {"address"});
    return HttpListener{ReadChallengeListen(listen.Require("address"))};
  }
  return ReadFleet(map.Find("fleet"));
}

// What is said of another solver than the chosen one.
void RefuseOthers(const yaml::Map& map, const std::vector<absl::string_view>& solvers, const std::string& chosen) {
  for (const absl::string_view other : solvers) {
    if (other == chosen) continue;
    map.Find(other).Fail(absl::StrCat("found ", other, ", but the solver is ", chosen), "remove one of the two");
  }
}

// The solver's name; empty, and an error: which one was meant is not known.
std::string ReadSolver(const yaml::Map& map, const std::vector<absl::string_view>& solvers, absl::string_view hint) {
  const yaml::Value solver = map.Require("solver", hint);
  const std::string name = solver.Word(solvers);
  if (!solver || solver.Text() != name) return "";
  RefuseOthers(map, solvers, name);
  return name;
}

ChallengeConfig ReadHttp01(const yaml::Value& value) {
  ChallengeConfig challenge;
  challenge.http01 = HttpFleet();
  std::vector<absl::string_view> keys = HttpSolverNames();
  keys.insert(keys.end(), {"type", "solver"});
  const yaml::Map map = value.ReadMap("a map such as {type: http-01, solver: fleet}", keys);
  const std::string solver = ReadSolver(map, HttpSolverNames(), "write solver: fleet");
  if (!solver.empty()) challenge.http01 = ReadHttpSolver(solver, map);
  return challenge;
}

// The draft may still change what records and challenges look like, so that the version that is meant is written down.
ChallengeConfig ReadDnsPersist01(const yaml::Value& value) {
  ChallengeConfig challenge;
  challenge.dns_persist01 = true;
  const yaml::Map map =
      value.ReadMap("a map such as {type: dns-persist-01, draft: \"00\"}", {"type", "draft", "propagation"});
  map.Require("draft", "write draft: \"00\", the version of draft-ietf-acme-dns-persist that your CA follows")
      .Word({"00"});
  challenge.propagation = ReadPropagation(map.Find("propagation"));
  return challenge;
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
  if (type && type.Text() == "http-01") return ReadHttp01(value);
  if (type && type.Text() == "dns-persist-01") return ReadDnsPersist01(value);
  std::vector<absl::string_view> keys = TxtWriterNames();
  keys.insert(keys.end(), {"type", "solver", "propagation", "follow_cname"});
  const yaml::Map map = value.ReadMap(kExpected, keys);
  map.Require("type", "write type: dns-01");
  challenge.propagation = ReadPropagation(map.Find("propagation"));
  const std::string solver = ReadSolver(map, TxtWriterNames(), "write solver: exec");
  if (solver.empty()) return challenge;
  ReadTxtWriter(solver, map.Require(solver), challenge);
  challenge.follow_cname = map.Find("follow_cname").Boolean(challenge.follow_cname);
  return challenge;
}

}  // namespace certcast::controller
