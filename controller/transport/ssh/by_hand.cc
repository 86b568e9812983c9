#include "controller/transport/ssh/by_hand.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "controller/transport/ssh/ssh_transport.h"

namespace certcast::controller {
namespace {

constexpr uint16_t kSshPort = 22;
constexpr absl::string_view kPlain = "%+,-./:=@_";

// To shells and in values of ssh's options.
bool IsPlain(absl::string_view word) {
  return std::all_of(word.begin(), word.end(),
                     [](char c) { return absl::ascii_isalnum(c) || kPlain.find(c) != absl::string_view::npos; });
}

// One word of a shell's.
std::string Quoted(absl::string_view word) {
  if (IsPlain(word)) return std::string(word);
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

// As a value of an option that may hold several paths, and in which `%` stands for something.
std::string PathValue(absl::string_view path) {
  const std::string escaped = absl::StrReplaceAll(path, {{"%", "%%"}});
  return IsPlain(escaped) ? escaped : absl::StrCat("\"", escaped, "\"");
}

void AddOption(absl::string_view name, absl::string_view value, std::vector<std::string>& words) {
  words.emplace_back("-o");
  words.push_back(Quoted(absl::StrCat(name, "=", value)));
}

void AddLogin(const SshLogin& login, std::vector<std::string>& words) {
  AddOption("PreferredAuthentications", "publickey", words);
  AddOption("IdentityAgent", login.agent_socket.empty() ? "none" : PathValue(login.agent_socket), words);
  AddOption("IdentityFile", login.key.empty() ? "none" : PathValue(login.key.name), words);
  // Else those of the agent would count for nothing.
  if (login.agent_socket.empty()) AddOption("IdentitiesOnly", "yes", words);
  if (!login.certificate_file.empty()) AddOption("CertificateFile", PathValue(login.certificate_file), words);
}

void AddTrust(const SshHop& hop, std::vector<std::string>& words) {
  AddOption("StrictHostKeyChecking", "yes", words);
  AddOption("GlobalKnownHostsFile", "none", words);
  AddOption("UserKnownHostsFile",
            hop.known_hosts.empty()
                ? "none"
                : absl::StrJoin(hop.known_hosts, " ",
                                [](std::string* out, const std::string& path) { out->append(PathValue(path)); }),
            words);
  if (!hop.known_as.empty()) AddOption("HostKeyAlias", hop.known_as, words);
}

// To the server at that place of the way, through those before it, which have options of their own: `ssh -J` would give
// them none of these.
std::vector<std::string> WordsTo(const SshTarget& target, size_t place) {
  const SshHop& hop = place == target.jumps.size() ? target.host : target.jumps[place];
  std::vector<std::string> words = {"ssh", "-F", "none"};
  AddTrust(hop, words);
  AddLogin(hop.login, words);
  if (place > 0) {
    std::vector<std::string> before = WordsTo(target, place - 1);
    // Behind the options, in front of the server.
    before.insert(before.end() - 1, {"-W", Quoted(hop.to.ToString())});
    AddOption("ProxyCommand", absl::StrReplaceAll(absl::StrJoin(before, " "), {{"%", "%%"}}), words);
  }
  if (hop.to.port != kSshPort) words.insert(words.end(), {"-p", absl::StrCat(hop.to.port)});
  words.push_back(Quoted(absl::StrCat(hop.user, "@", hop.to.host)));
  return words;
}

}  // namespace

std::string SshLine(const SshTarget& target, absl::string_view command) {
  return absl::StrCat(absl::StrJoin(WordsTo(target, target.jumps.size()), " "), " ", command);
}

bool SshByHand::CanLogIn(const SshLogin& login) {
  const auto [place, is_new] = can_log_in_.try_emplace(login.Identity(), false);
  if (is_new) {
    const bool agent_is_there = !login.agent_socket.empty() && access(login.agent_socket.c_str(), F_OK) == 0;
    place->second = LoginKeys::Read(login).ok() && (!login.key.empty() || agent_is_there);
  }
  return place->second;
}

std::string SshByHand::LineFor(const NodeConfig& node, absl::string_view command) {
  const absl::StatusOr<SshTarget> target = MakeSshTarget(node, {}, processes_);
  if (!target.ok() || !CanLogIn(target->host.login)) return "";
  const bool can_jump =
      std::all_of(target->jumps.begin(), target->jumps.end(), [&](const SshHop& jump) { return CanLogIn(jump.login); });
  return can_jump ? SshLine(*target, command) : "";
}

}  // namespace certcast::controller
