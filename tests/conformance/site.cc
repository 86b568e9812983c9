#include "tests/conformance/site.h"

#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "certcast/v1/identity.pb.h"
#include "common/http_challenge/token.h"
#include "common/identity/names.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/http_get.h"
#include "common/probe/resolver.h"
#include "common/status/status.h"
#include "common/x509/pem.h"
#include "controller/keyring/fleet_ca.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

namespace fs = std::filesystem;

using testing::ReadFile;
using testing::WriteFile;

// $0 node, $1 folder, $2 the line with `listen`, $3 allowed names, $4 keep, $5 where challenges are shown, $6 services.
constexpr absl::string_view kNodeYaml = R"(name: $0
state: $1/state
$2allow_names: ["$3"]
keep: $4
http_challenge: {$5}
services:
$6)";

// Each with its certificate, in the order of Site::services.
constexpr std::array<std::pair<const char*, const char*>, 3> kServices = {
    {{kService, kCertificate}, {kNewcomer, kNewcomer}, {kBlank, kBlank}}};

StandIn MakeStandIn(const std::string& home, size_t number, int port) {
  const auto& [name, certificate] = kServices[number];
  return {name, certificate, absl::StrCat(home, "/", name), port};
}

bool IsFleet(const nlohmann::json& about) {
  return about.is_object() && about["fleetId"].is_string() && about["node"].is_string() &&
         about["challengeListen"].is_string() && about["hosted"].is_boolean() && about["ports"].is_array() &&
         about["ports"].size() == kServices.size() && about["ports"][0].is_number_integer();
}

absl::StatusOr<std::string> ReadNeeded(const std::string& path) {
  std::string text = ReadFile(path);
  if (text.empty()) return absl::NotFoundError(absl::StrCat(path, " is not there: make it with `conformance prepare`"));
  return text;
}

}  // namespace

absl::Status PrepareSite(const std::string& folder, const SiteOptions& options) {
  RETURN_IF_ERROR(CheckNodeName(options.node));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_empty(folder, error) || error) {
    return absl::InvalidArgumentError(absl::StrCat(folder, " is not an empty folder"));
  }
  const std::string home = fs::canonical(folder).string();
  fs::create_directory(home + "/webroot", error);
  const testing::TestCa ca = testing::TestCa::Root("conformance fleet CA");
  const std::string fleet_id = absl::StrCat(
      "c0f00000-0000-4000-8000-", absl::Hex(absl::ToUnixMicros(absl::Now()) & 0xffffffffffff, absl::kZeroPad12));
  const testing::TestFleet fleet(fleet_id);
  std::vector<int> ports;
  while (ports.size() < kServices.size()) {
    ASSIGN_OR_RETURN(ports.emplace_back(), testing::FreePort("127.0.0.1"));
  }
  ASSIGN_OR_RETURN(const Secret ca_key, ca.key().ToPem());
  ASSIGN_OR_RETURN(const Secret manifest_key, fleet.signing_key().ToPem());
  const nlohmann::json about = {{"fleetId", fleet_id},
                                {"node", options.node},
                                {"ports", ports},
                                {"challengeListen", options.challenge_listen},
                                {"hosted", options.hosted}};
  RETURN_IF_ERROR(WriteFile(home + "/fleet.json", about.dump(2) + "\n"));
  RETURN_IF_ERROR(WriteFile(home + "/ca.pem", ca.root_pem()));
  RETURN_IF_ERROR(WriteFile(home + "/ca.key", ca_key.ExposeSecret()));
  RETURN_IF_ERROR(WriteFile(home + "/manifest.key", manifest_key.ExposeSecret()));
  std::string services;
  for (size_t i = 0; i < ports.size(); ++i) {
    const StandIn service = MakeStandIn(home, i, ports[i]);
    RETURN_IF_ERROR(service.MakeFolder());
    services += service.InNodeYaml(kHost);
  }
  if (options.hosted) return absl::OkStatus();
  const std::string listen_line = options.listen.empty() ? "" : absl::StrCat("listen: ", options.listen, "\n");
  const std::string challenges = options.challenge_listen.empty()
                                     ? absl::StrCat("webroot: ", home, "/webroot")
                                     : absl::StrCat("listen: \"", options.challenge_listen, "\"");
  return WriteFile(home + "/node.yaml",
                   absl::Substitute(kNodeYaml, options.node, home, listen_line, kAllowed, kKeep, challenges, services));
}

Site::Site(std::string folder, const nlohmann::json& about, testing::TestFleet fleet, testing::TestCa fleet_ca)
    : folder_(std::move(folder)),
      node_(about["node"]),
      challenge_listen_(about["challengeListen"]),
      hosted_(about["hosted"]),
      fleet_(std::move(fleet)),
      fleet_ca_(std::move(fleet_ca)),
      service_(MakeStandIn(folder_, 0, about["ports"][0])),
      newcomer_(MakeStandIn(folder_, 1, about["ports"][1])),
      blank_(MakeStandIn(folder_, 2, about["ports"][2])) {
}

absl::StatusOr<std::unique_ptr<Site>> Site::Open(const std::string& folder) {
  std::error_code error;
  const std::string home = fs::canonical(folder, error).string();
  if (error) return absl::NotFoundError(absl::StrCat(folder, ": ", error.message()));
  ASSIGN_OR_RETURN(const std::string text, ReadNeeded(home + "/fleet.json"));
  nlohmann::json about = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!IsFleet(about)) {
    return absl::InvalidArgumentError(absl::StrCat(home, "/fleet.json is not what `conformance prepare` wrote"));
  }
  ASSIGN_OR_RETURN(const std::string ca, ReadNeeded(home + "/ca.pem"));
  ASSIGN_OR_RETURN(const std::string ca_key, ReadNeeded(home + "/ca.key"));
  ASSIGN_OR_RETURN(const std::string manifest_key_pem, ReadNeeded(home + "/manifest.key"));
  ASSIGN_OR_RETURN(PrivateKey manifest_key, PrivateKey::FromPem(manifest_key_pem));
  return std::unique_ptr<Site>(new Site(home, about, testing::TestFleet(about["fleetId"], std::move(manifest_key)),
                                        testing::TestCa::FromPem(ca, ca_key)));
}

v1::NodeDefinition Site::Definition() const {
  v1::NodeDefinition definition;
  definition.set_node(node_);
  definition.set_state(state());
  definition.set_fleet_id(fleet_.id());
  definition.set_manifest_key_pem(fleet_.key().ToPem());
  definition.add_allow_names(kAllowed);
  definition.set_keep(kKeep);
  std::string services;
  for (const StandIn* service : this->services()) services += service->InNodeYaml(kHost);
  definition.set_services_yaml(services);
  if (challenges_by_listener()) {
    definition.mutable_http_challenge()->set_listen(challenge_listen_);
  } else {
    definition.mutable_http_challenge()->set_webroot(folder_ + "/webroot");
  }
  return definition;
}

absl::StatusOr<std::string> Site::Sign(absl::string_view csr_pem) const {
  ASSIGN_OR_RETURN(const SslPtr<EVP_PKEY> key, controller::ReadRequestKey(csr_pem, node_));
  ASSIGN_OR_RETURN(
      const Certificate signed_for,
      controller::SignIdentity(
          fleet_ca_.certificate(), fleet_ca_.key(), key.get(),
          {.common_name = node_, .dns_name = NodeDnsName(node_), .uri = NodeUri(fleet_.id(), node_)}, absl::Now()));
  v1::FleetIdentity identity;
  identity.set_schema(1);
  identity.set_fleet_id(fleet_.id());
  identity.set_node(node_);
  identity.set_manifest_key_pem(fleet_.key().ToPem());
  return absl::StrCat(signed_for.ToPem(), fleet_ca_.root_pem(),
                      EncodePem("CERTCAST FLEET", identity.SerializeAsString()));
}

Caller Site::MakeCaller(const testing::CertificateSpec& spec) const {
  const testing::IssuedCertificate issued = fleet_ca_.Issue(spec);
  return {issued.fullchain_pem, std::string(issued.key_pem.ExposeSecret())};
}

Caller Site::MakeController() const {
  return MakeCaller({.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(fleet_.id())}});
}

Caller Site::MakeNode(const std::string& name) const {
  return MakeCaller({.dns_names = {NodeDnsName(name)}, .uris = {NodeUri(fleet_.id(), name)}});
}

testing::IssuedCertificate Site::Issue() const {
  return public_ca_.Issue({.dns_names = {kAllowed}});
}

absl::Status Site::StartServices() {
  for (StandIn* service : {&service_, &newcomer_, &blank_}) RETURN_IF_ERROR(service->Start(Issue()));
  return absl::OkStatus();
}

std::string Site::challenge_place() const {
  return challenges_by_listener() ? "listen " + challenge_listen_ : absl::StrCat("webroot ", folder_, "/webroot");
}

std::optional<std::string> Site::ShownAt(const std::string& token) const {
  const std::string path = absl::StrCat(kChallengePath, token);
  if (challenges_by_listener()) {
    const auto stream = ConnectToListener();
    if (!stream.ok()) return std::nullopt;
    const auto answer = HttpGet(**stream, kHost, path, /*wants_body=*/true);
    return answer.ok() && answer->status == 200 ? std::optional(answer->body) : std::nullopt;
  }
  struct stat found;
  const std::string file = absl::StrCat(folder_, "/webroot", path);
  if (stat(file.c_str(), &found) != 0 || (found.st_mode & S_IROTH) == 0) return std::nullopt;
  return ReadFile(file);
}

bool Site::ChallengeListens() const {
  return challenges_by_listener() && ConnectToListener().ok();
}

absl::StatusOr<std::unique_ptr<TcpStream>> Site::ConnectToListener() const {
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(challenge_listen_));
  return TcpStream::Connect(address, Resolver::Local(), Deadline::In(absl::Seconds(5)));
}

}  // namespace certcast::conformance
