#include "controller/config/ansible_ssh_arguments.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kHint = "say the way with -J user@host or -o ProxyJump=user@host, or in ssh: {jump: [...]}";
// ssh(1)'s letters that take a value, but for those that are followed.
constexpr absl::string_view kWithValue = "BbcDEeFIJLlmOopQRSWwi";

// As a shell would: quotes and backslashes. nullopt when a quote stays open.
std::optional<std::vector<std::string>> SplitWords(absl::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
      in_word = true;
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (quote == 0 && absl::ascii_isspace(static_cast<unsigned char>(c))) {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) return std::nullopt;
  if (in_word) words.push_back(word);
  return words;
}

absl::StatusOr<std::vector<std::string>> WordsOf(absl::string_view text) {
  std::optional<std::vector<std::string>> words = SplitWords(text);
  if (!words.has_value()) return FailInput("found a quote that is not closed");
  return *std::move(words);
}

absl::StatusOr<int> PortOf(const std::string& text) {
  int port = 0;
  if (absl::SimpleAtoi(text, &port) && port >= 1 && port <= 65535) return port;
  return FailInput(absl::StrCat("found the port ", text, ", expected 1 to 65535"));
}

class Reader {
 public:
  explicit Reader(AnsibleSshArguments& found) : found_(found) {}

  // Words of an ssh command line without its first. Where `inner`, one of them is the host that is logged in to, by
  // which the way leads on.
  absl::Status Read(const std::vector<std::string>& words, bool inner) {
    std::string host;
    for (size_t i = 0; i < words.size(); ++i) {
      const std::string& word = words[i];
      if (word.size() < 2 || word[0] != '-') {
        if (!inner || !host.empty()) return FailInput(absl::StrCat("found ", word, ", expected options of ssh"), kHint);
        host = word;
        continue;
      }
      const char letter = word[1];
      std::string value = word.substr(2);
      if (value.empty() && absl::StrContains(kWithValue, letter)) {
        if (++i == words.size()) return FailInput(absl::StrCat("found ", word, " without a value"), kHint);
        value = words[i];
      }
      RETURN_IF_ERROR(Take(letter, value));
    }
    if (inner) return LeadOver(host);
    return absl::OkStatus();
  }

 private:
  absl::Status Take(char letter, const std::string& value) {
    switch (letter) {
      case 'J':
        return Jump(value);
      case 'i':
        found_.key_file = value;
        return absl::OkStatus();
      case 'l':
        found_.user = value;
        return absl::OkStatus();
      case 'p': {
        ASSIGN_OR_RETURN(found_.port, PortOf(value));
        return absl::OkStatus();
      }
      case 'F':
        return FailInput("found -F, a configuration of ssh", "use_ssh_config: true under ssh reads the usual ones");
      case 'W':
        forwards_ = true;
        return absl::OkStatus();
      case 'o':
        return Option(value);
      default:
        return absl::OkStatus();
    }
  }

  // `Name=value`, `Name = value` or `Name value`.
  absl::Status Option(absl::string_view text) {
    text = absl::StripAsciiWhitespace(text);
    const size_t end = text.find_first_of("= \t");
    if (end == absl::string_view::npos) return FailInput(absl::StrCat("found the option ", text, " without a value"));
    const std::string name = absl::AsciiStrToLower(text.substr(0, end));
    absl::string_view value = absl::StripAsciiWhitespace(text.substr(end));
    if (!value.empty() && value.front() == '=') value = absl::StripAsciiWhitespace(value.substr(1));
    if (name == "proxyjump") return Jump(value);
    if (name == "proxycommand") return ProxyCommand(value);
    if (name == "identityfile") return Take('i', std::string(value));
    if (name == "user") return Take('l', std::string(value));
    if (name == "port") return Take('p', std::string(value));
    return absl::OkStatus();
  }

  absl::Status Jump(absl::string_view value) {
    if (absl::EqualsIgnoreCase(value, "none")) return absl::OkStatus();
    for (absl::string_view hop : absl::StrSplit(value, ',')) {
      hop = absl::StripAsciiWhitespace(hop);
      absl::string_view plain = hop;
      if (absl::StartsWith(plain, "ssh://")) plain.remove_prefix(6);
      if (plain.empty()) return FailInput(absl::StrCat("found the way ", value, ", expected user@host"), kHint);
      found_.jump.emplace_back(plain);
    }
    return absl::OkStatus();
  }

  // ssh -W %h:%p user@bastion: the way of before ProxyJump.
  absl::Status ProxyCommand(absl::string_view value) {
    if (absl::EqualsIgnoreCase(value, "none")) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::vector<std::string> words, WordsOf(value));
    const bool is_ssh = !words.empty() && (words[0] == "ssh" || absl::EndsWith(words[0], "/ssh"));
    if (is_ssh) {
      words.erase(words.begin());
      AnsibleSshArguments inner;
      Reader reader(inner);
      RETURN_IF_ERROR(reader.Read(words, /*inner=*/true));
      if (reader.forwards_) {
        found_.jump.insert(found_.jump.end(), inner.jump.begin(), inner.jump.end());
        return absl::OkStatus();
      }
    }
    return FailInput(absl::StrCat("found the ProxyCommand ", value.substr(0, 100), ", expected a jump host"), kHint);
  }

  // Where the words were those of a ProxyCommand: its host is the last on the way.
  absl::Status LeadOver(const std::string& host) {
    if (host.empty()) return FailInput("found a ProxyCommand without a host", kHint);
    const bool has_user = absl::StrContains(host, '@') || found_.user.empty();
    found_.jump.push_back(absl::StrCat(has_user ? "" : found_.user, has_user ? "" : "@", host,
                                       found_.port == 0 ? "" : ":", found_.port == 0 ? "" : absl::StrCat(found_.port)));
    return absl::OkStatus();
  }

  AnsibleSshArguments& found_;
  bool forwards_ = false;
};

}  // namespace

absl::StatusOr<AnsibleSshArguments> ParseAnsibleSshArguments(absl::string_view text) {
  AnsibleSshArguments found;
  ASSIGN_OR_RETURN(const std::vector<std::string> words, WordsOf(text));
  RETURN_IF_ERROR(Reader(found).Read(words, /*inner=*/false));
  return found;
}

}  // namespace certcast::controller
