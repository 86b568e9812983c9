#include "tests/conformance/site.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "certcast/v1/identity.pb.h"
#include "common/identity/names.h"
#include "common/probe/tls_client.h"
#include "common/status/status.h"
#include "common/x509/pem.h"
#include "controller/keyring/fleet_ca.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

namespace fs = std::filesystem;

using testing::ReadFile;
using testing::WriteFile;

// $0 node, $1 folder, $2 the line with `listen`, $3 port, $4 allowed names, $5 service, $6 certificate, $7 host.
constexpr absl::string_view kNodeYaml = R"(name: $0
state: $1/state
$2allow_names: ["$4"]
services:
  - name: $5
    certificate: $6
    files:
      - {path: $1/tls/fullchain.pem, content: fullchain, mode: "0644"}
      - {path: $1/tls/privkey.pem, content: private_key, mode: "0600"}
    check: [$1/check]
    reload: [$1/reload]
    probes:
      - tls: {address: "127.0.0.1:$3", server_name: $7, timeout: 3s}
)";

// $0 folder, $1 name: what every command does first.
constexpr absl::string_view kNote = R"(#!/bin/bash
echo $1 >>$0/log
env >>$0/environment
)";

absl::StatusOr<std::string> ReadNeeded(const std::string& path) {
  std::string text = ReadFile(path);
  if (text.empty()) return absl::NotFoundError(absl::StrCat(path, " is not there: make it with `conformance prepare`"));
  return text;
}

}  // namespace

absl::Status PrepareSite(const std::string& folder, const std::string& node, const std::string& listen) {
  RETURN_IF_ERROR(CheckNodeName(node));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_empty(folder, error) || error) {
    return absl::InvalidArgumentError(absl::StrCat(folder, " is not an empty folder"));
  }
  const std::string home = fs::canonical(folder).string();
  fs::create_directory(home + "/tls", error);
  const testing::TestCa ca = testing::TestCa::Root("conformance fleet CA");
  const std::string fleet_id = absl::StrCat(
      "c0f00000-0000-4000-8000-", absl::Hex(absl::ToUnixMicros(absl::Now()) & 0xffffffffffff, absl::kZeroPad12));
  const testing::TestFleet fleet(fleet_id);
  ASSIGN_OR_RETURN(const int port, testing::FreePort("127.0.0.1"));
  ASSIGN_OR_RETURN(const Secret ca_key, ca.key().ToPem());
  ASSIGN_OR_RETURN(const Secret manifest_key, fleet.signing_key().ToPem());
  const nlohmann::json about = {{"fleetId", fleet_id}, {"node", node}, {"port", port}};
  RETURN_IF_ERROR(WriteFile(home + "/fleet.json", about.dump(2) + "\n"));
  RETURN_IF_ERROR(WriteFile(home + "/ca.pem", ca.root_pem()));
  RETURN_IF_ERROR(WriteFile(home + "/ca.key", ca_key.ExposeSecret()));
  RETURN_IF_ERROR(WriteFile(home + "/manifest.key", manifest_key.ExposeSecret()));
  const std::string listen_line = listen.empty() ? "" : absl::StrCat("listen: ", listen, "\n");
  return WriteFile(home + "/node.yaml",
                   absl::Substitute(kNodeYaml, node, home, listen_line, port, kAllowed, kService, kCertificate, kHost));
}

absl::StatusOr<std::unique_ptr<Site>> Site::Open(const std::string& folder) {
  std::error_code error;
  const std::string home = fs::canonical(folder, error).string();
  if (error) return absl::NotFoundError(absl::StrCat(folder, ": ", error.message()));
  ASSIGN_OR_RETURN(const std::string text, ReadNeeded(home + "/fleet.json"));
  const nlohmann::json about = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!about.is_object() || !about["fleetId"].is_string() || !about["node"].is_string() ||
      !about["port"].is_number_integer()) {
    return absl::InvalidArgumentError(absl::StrCat(home, "/fleet.json is not what `conformance prepare` wrote"));
  }
  ASSIGN_OR_RETURN(const std::string ca, ReadNeeded(home + "/ca.pem"));
  ASSIGN_OR_RETURN(const std::string ca_key, ReadNeeded(home + "/ca.key"));
  ASSIGN_OR_RETURN(const std::string manifest_key_pem, ReadNeeded(home + "/manifest.key"));
  ASSIGN_OR_RETURN(PrivateKey manifest_key, PrivateKey::FromPem(manifest_key_pem));
  return std::unique_ptr<Site>(new Site(home, about["node"], about["port"],
                                        testing::TestFleet(about["fleetId"], std::move(manifest_key)),
                                        testing::TestCa::FromPem(ca, ca_key)));
}

absl::StatusOr<std::string> Site::Sign(absl::string_view csr_pem) const {
  ASSIGN_OR_RETURN(const SslPtr<EVP_PKEY> key, controller::ReadRequestKey(csr_pem));
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

absl::Status Site::StartService() {
  const testing::IssuedCertificate before = Issue();
  server_ = std::make_unique<testing::ReloadingTlsServer>(FilePath("fullchain.pem"), FilePath("privkey.pem"),
                                                          before.fullchain_pem, before.key_pem.ExposeSecret(), port_);
  RETURN_IF_ERROR(Behave({}));
  if (Installed() != "nothing") server_->Reload();
  return absl::OkStatus();
}

absl::Status Site::Behave(const Behaviour& behaviour) {
  server_->IgnoreReloads(behaviour.ignores_reload);
  const std::string copy = absl::Substitute(
      "cat $0/tls/fullchain.pem >$0/chain-at-check\ncat $0/tls/privkey.pem >$0/key-at-check\n", folder_);
  RETURN_IF_ERROR(
      WriteCommand("check", absl::StrCat(copy, behaviour.check_fails ? "echo the check says no >&2\nexit 1\n" : "")));
  std::error_code ignored;
  fs::remove(folder_ + "/release", ignored);
  const std::string wait =
      behaviour.reload_waits ? absl::Substitute("until test -e $0/release; do sleep 0.05; done\n", folder_) : "";
  return WriteCommand("reload", absl::StrCat(wait, behaviour.reload_fails ? "echo the reload says no >&2\nexit 1\n"
                                                                          : server_->reload_line() + "\n"));
}

absl::Status Site::Release() const {
  return WriteFile(folder_ + "/release", "");
}

// Replaced in one step: the node may be about to run it.
absl::Status Site::WriteCommand(const std::string& name, const std::string& lines) const {
  const std::string path = absl::StrCat(folder_, "/", name);
  RETURN_IF_ERROR(WriteFile(path + ".new", absl::StrCat(absl::Substitute(kNote, folder_, name), lines), 0755));
  return rename((path + ".new").c_str(), path.c_str()) == 0 ? absl::OkStatus() : FailErrno(errno, path);
}

std::string Site::Runs() const {
  return absl::StrReplaceAll(absl::StripAsciiWhitespace(ReadFile(folder_ + "/log")), {{"\n", " "}});
}

void Site::ForgetRuns() const {
  std::error_code ignored;
  fs::remove(folder_ + "/log", ignored);
}

std::string Site::EnvironmentOfRuns() const {
  return ReadFile(folder_ + "/environment");
}

std::string Site::LeafAtCheck() const {
  return testing::LeafInFiles(folder_ + "/chain-at-check", folder_ + "/key-at-check");
}

std::string Site::Installed() const {
  struct stat key;
  if (stat(FilePath("privkey.pem").c_str(), &key) == 0 && (key.st_mode & 0077) != 0)
    return "a key that others may read";
  return testing::LeafInFiles(FilePath("fullchain.pem"), FilePath("privkey.pem"));
}

std::string Site::Served() const {
  const auto peer = TlsHandshake(server_->address(), kHost, {}, absl::Seconds(5));
  return peer.ok() ? peer->leaf_sha256 : "";
}

std::string Site::FilePath(absl::string_view name) const {
  return absl::StrCat(folder_, "/tls/", name);
}

}  // namespace certcast::conformance
