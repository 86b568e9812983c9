#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/probe/address.h"
#include "common/service/read.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "common/yaml/secret.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kServerHint = "write user@host, user@host:port or user@[v6]:port";
constexpr uint16_t kSshPort = 22;
// In place of what has its own error, so that it has no other.
const SshServer kWrongServer = {.user = "wrong", .host = "wrong", .port = 1};
constexpr char kWrongFile[] = "/wrong";
constexpr size_t kMaxUser = 32;
constexpr size_t kMaxJumps = 8;
constexpr size_t kMaxHostDirectory = 1024;
constexpr absl::Duration kLeastTimeout = absl::Seconds(1);
constexpr absl::Duration kMostTimeout = absl::Minutes(10);

bool IsUser(absl::string_view text) {
  const auto allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= kMaxUser && text.front() != '-' && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), allowed);
}

bool HasPort(absl::string_view host) {
  return absl::StartsWith(host, "[") ? !absl::EndsWith(host, "]") : absl::StrContains(host, ':');
}

// An alias of ssh_config would do as well as a name: the grammar is the same.
absl::Status ParseHost(absl::string_view text, SshServer& server) {
  const bool has_port = HasPort(text);
  const std::string whole = has_port ? std::string(text) : absl::StrCat(text, ":", kSshPort);
  const absl::Status good = CheckHostPort(whole);
  if (!good.ok() && !has_port) {
    return FailInput(absl::StrCat("found the host ", Quoted(text), ", expected a name or a numeric address"),
                     kServerHint);
  }
  RETURN_IF_ERROR(good);
  const HostPort parsed = *ParseHostPort(whole);
  server.host = parsed.host;
  server.port = has_port ? parsed.port : 0;
  return absl::OkStatus();
}

// `[user@]host[:port]`.
absl::StatusOr<SshServer> ParseServer(absl::string_view text) {
  SshServer server;
  if (const size_t at = text.rfind('@'); at != absl::string_view::npos) {
    server.user = std::string(text.substr(0, at));
    if (absl::StrContains(server.user, ':')) {
      return FailInput("found a user with a colon, expected a name alone", "secrets never stand in the configuration");
    }
    if (!IsUser(server.user)) {
      return FailInput(absl::StrCat("found the user ", Quoted(server.user),
                                    ", expected 1 to 32 letters, digits and `._-`, with no `.` or `-` in front"),
                       kServerHint);
    }
    text.remove_prefix(at + 1);
  }
  RETURN_IF_ERROR(ParseHost(text, server));
  return server;
}

std::vector<SshServer> ReadJump(const yaml::Value& value) {
  std::vector<SshServer> jump;
  for (const yaml::Value& item : value.Items("a list of user@host[:port]", 0, kMaxJumps)) {
    const std::string text = item.Text("user@host[:port]");
    if (text.empty()) continue;
    absl::StatusOr<SshServer> server = ParseServer(text);
    item.Fail(server.status());
    jump.push_back(server.ok() ? *std::move(server) : kWrongServer);
  }
  return jump;
}

SshKey ReadKey(const yaml::Value& value) {
  constexpr absl::string_view kExpected = "a map such as {file: /etc/certcast/id_ed25519}";
  if (!value.is_map()) {
    // What was found is not shown: it may be the key.
    value.Fail(absl::StrCat("expected ", kExpected), "secrets never stand in the configuration");
    return {.file = kWrongFile};
  }
  const yaml::Map map = value.ReadMap(kExpected, {"file", "passphrase"});
  SshKey key{.file = map.Require("file").Path(), .passphrase = yaml::ReadSecretReference(map.Find("passphrase"))};
  if (absl::EndsWith(key.file, ".pub")) {
    map.Find("file").FailExpected("a private key", "it is the file beside it, without .pub");
  }
  if (key.file.empty()) key.file = kWrongFile;
  return key;
}

// What ssh_config may say, only it may leave out.
void FillServer(SshServer& server, bool use_ssh_config, const yaml::Value& place) {
  if (use_ssh_config) return;
  if (server.port == 0) server.port = kSshPort;
  if (!server.user.empty()) return;
  place.Fail(absl::StrCat("found no user for ", server.host, ", expected user@", server.host),
             "with use_ssh_config: true it may be named there");
}

void CheckComplete(const SshOptions& options, const yaml::Value& node) {
  if (!options.certificate.empty() && options.key.file.empty()) {
    node.Fail("found an ssh certificate without its key", "add key: {file: PATH} under ssh");
  }
  if (options.use_ssh_config) return;
  if (options.key.file.empty() && !options.agent) {
    node.Fail("found nothing to log in with, expected a key",
              "write ssh: {key: {file: PATH}} or ssh: {agent: true}, here or for the whole file");
  }
  if (options.known_hosts.empty()) {
    node.Fail("found no known_hosts: a host key is never accepted unseen",
              "write ssh: {known_hosts: /etc/certcast/known_hosts}, here or for the whole file");
  }
}

// A directory on the host. It is spoken to a shell script and stands in messages: no character that means something
// there.
std::string ReadHostDirectory(const yaml::Value& value, std::string otherwise) {
  constexpr absl::string_view kAllowed = "/._-+@=,:";
  constexpr absl::string_view kExpected =
      "an absolute path on the host, of letters, digits and `/._-+@=,:`, other than `/`";
  if (!value) return otherwise;
  std::string directory = value.WithAbsolutePaths().Path();
  const auto allowed = [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(kAllowed, c);
  };
  if (directory.empty() || (directory != "/" && directory.size() <= kMaxHostDirectory &&
                            std::all_of(directory.begin(), directory.end(), allowed))) {
    return directory;
  }
  value.FailExpected(kExpected);
  return otherwise;
}

}  // namespace

std::string SshServer::ToString() const {
  const bool v6 = absl::StrContains(host, ':');
  return absl::StrCat(user, user.empty() ? "" : "@", v6 ? "[" : "", host, v6 ? "]" : "", port == 0 ? "" : ":",
                      port == 0 ? "" : absl::StrCat(port));
}

SshOptions ReadSshOptions(const yaml::Value& value, SshOptions options) {
  if (!value) return options;
  const yaml::Map map = value.ReadMap("a map with key and known_hosts",
                                      {"key", "certificate", "agent", "known_hosts", "agent_binary", "agent_directory",
                                       "jump", "sudo", "use_ssh_config", "connect_timeout"});
  if (const yaml::Value key = map.Find("key")) options.key = ReadKey(key);
  if (const yaml::Value certificate = map.Find("certificate")) options.certificate = certificate.Path();
  options.agent = map.Find("agent").Boolean(options.agent);
  if (const yaml::Value known_hosts = map.Find("known_hosts")) options.known_hosts = known_hosts.Path();
  if (const yaml::Value binary = map.Find("agent_binary")) options.agent_binary = binary.Path();
  options.agent_directory = ReadHostDirectory(map.Find("agent_directory"), options.agent_directory);
  if (const yaml::Value jump = map.Find("jump")) options.jump = ReadJump(jump);
  options.sudo = map.Find("sudo").Boolean(options.sudo);
  options.use_ssh_config = map.Find("use_ssh_config").Boolean(options.use_ssh_config);
  options.connect_timeout = map.Find("connect_timeout").Duration(kLeastTimeout, kMostTimeout, options.connect_timeout);
  return options;
}

SshServer ReadSshServer(absl::string_view text, const yaml::Value& place) {
  absl::StatusOr<SshServer> server = ParseServer(text);
  place.Fail(server.status());
  return server.ok() ? *std::move(server) : kWrongServer;
}

SshNode ReadSshNode(const yaml::Map& map, SshServer server, const SshOptions& defaults) {
  SshNode node;
  node.server = std::move(server);
  const yaml::Value ssh = map.Find("ssh");
  node.options = ReadSshOptions(ssh, defaults);
  FillServer(node.server, node.options.use_ssh_config, map.Find("address"));
  for (SshServer& hop : node.options.jump) FillServer(hop, node.options.use_ssh_config, ssh ? ssh : map.value());
  CheckComplete(node.options, ssh ? ssh : map.value());
  node.state = ReadHostDirectory(map.Find("state"), node.state);
  if (const yaml::Value allowed = map.Find("allow_names")) {
    node.allow_names = ReadAllowedNames(allowed);
    if (!map.Find("services")) {
      allowed.Fail("found allow_names of a node without services, expected none",
                   "the host's own node.yaml says what it takes; or are its services missing here?");
    }
  }
  if (const yaml::Value place = map.Find("http_challenge")) {
    node.http_challenge = ReadHttpChallengePlace(place.WithAbsolutePaths());
    if (!map.Find("services")) {
      place.Fail("found http_challenge of a node without services, expected none",
                 "a host with a node.yaml of its own has it there");
    }
  }
  return node;
}

}  // namespace certcast::controller
