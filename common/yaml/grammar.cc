#include "common/yaml/grammar.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/probe/address.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxName = 63;
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxHost = 253;
constexpr size_t kMaxShown = 60;
constexpr size_t kMaxUrl = 2048;
constexpr size_t kMaxAccountName = 32;

absl::Status Mismatch(absl::string_view found, absl::string_view expected, absl::string_view hint = "") {
  return FailInput(absl::StrCat("found ", Quoted(found), ", expected ", expected), hint);
}

bool AllOf(absl::string_view text, bool (*predicate)(char)) {
  return std::all_of(text.begin(), text.end(), predicate);
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsDigits(absl::string_view text) {
  return !text.empty() && AllOf(text, IsDigit);
}
bool IsNameCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || c == '-';
}
bool IsNameLabel(absl::string_view label) {
  return !label.empty() && label.front() != '-' && label.back() != '-' && AllOf(label, IsNameCharacter);
}

// `underscores`: also `_`, which addresses inside a network may have and names in certificates may not.
bool IsHost(absl::string_view text, bool underscores) {
  if (text.empty() || text.size() > kMaxHost) return false;
  for (const absl::string_view label : absl::StrSplit(text, '.')) {
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return false;
    for (const char c : label) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && !(underscores && c == '_')) return false;
    }
  }
  return true;
}

// What would be taken for an IPv4 address: its last label is a number (WHATWG and getaddrinfo alike).
bool LooksLikeIpv4(absl::string_view text) {
  const size_t dot = text.rfind('.');
  return IsDigits(dot == absl::string_view::npos ? text : text.substr(dot + 1));
}

struct Unit {
  absl::string_view name;
  absl::Duration length;
};

// Larger first; `m` is tried after `ms` by the caller.
const std::vector<Unit>& Units() {
  static const auto& units = *new std::vector<Unit>{{"d", absl::Hours(24)},
                                                    {"h", absl::Hours(1)},
                                                    {"m", absl::Minutes(1)},
                                                    {"s", absl::Seconds(1)},
                                                    {"ms", absl::Milliseconds(1)}};
  return units;
}

// Takes digits, at most one point among them, from the front.
absl::string_view TakeNumber(absl::string_view* text) {
  size_t size = 0;
  bool point = false;
  while (size < text->size() && (IsDigit((*text)[size]) || ((*text)[size] == '.' && !point && size > 0))) {
    point = point || (*text)[size] == '.';
    ++size;
  }
  const absl::string_view number = text->substr(0, size);
  text->remove_prefix(size);
  return number;
}

absl::string_view TakeUnit(absl::string_view* text) {
  const size_t size = std::find_if(text->begin(), text->end(), IsDigit) - text->begin();
  const absl::string_view unit = text->substr(0, size);
  text->remove_prefix(size);
  return unit;
}

// Nothing: not in the language, or longer than 100 years.
bool SumOfUnits(absl::string_view text, absl::Duration* sum) {
  constexpr size_t kMaxNumber = 12;
  *sum = absl::ZeroDuration();
  auto next = Units().begin();
  while (!text.empty()) {
    const absl::string_view number = TakeNumber(&text);
    const absl::string_view name = TakeUnit(&text);
    double count = 0;
    if (number.empty() || number.size() > kMaxNumber || number.back() == '.' || !absl::SimpleAtod(number, &count)) {
      return false;
    }
    next = std::find_if(next, Units().end(), [&](const Unit& unit) { return unit.name == name; });
    if (next == Units().end()) return false;
    *sum += count * next->length;
    ++next;
  }
  return *sum <= absl::Hours(24 * 365 * 100);
}

// Levenshtein's distance, with the exchange of two neighbours counted once.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> distance(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) distance[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) distance[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      distance[i][j] = std::min({change, distance[i - 1][j] + 1, distance[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
      }
    }
  }
  return distance[a.size()][b.size()];
}

}  // namespace

absl::Status CheckName(absl::string_view text) {
  const std::vector<absl::string_view> labels = absl::StrSplit(text, '.');
  if (text.size() <= kMaxName && std::all_of(labels.begin(), labels.end(), IsNameLabel)) return absl::OkStatus();
  return Mismatch(text, "a name: lower-case letters, digits, and `.` and `-` between them, at most 63 characters");
}

absl::Status CheckHostName(absl::string_view text) {
  if (absl::StartsWith(text, "*.")) {
    return Mismatch(
        text, "a host name to ask for",
        absl::StrCat("a wildcard is not a host: write one that it covers, such as www", text.substr(1, kMaxHost)));
  }
  if (IsNumericAddress(text)) {
    return Mismatch(text, "a host name", "an address can't be asked for by name (RFC 6066 section 3)");
  }
  if (IsHost(text, /*underscores=*/false) && !LooksLikeIpv4(text)) return absl::OkStatus();
  return Mismatch(text, "a host name such as www.example.com");
}

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  if (text == "0") return absl::ZeroDuration();
  absl::Duration duration;
  if (!text.empty() && SumOfUnits(text, &duration)) return duration;
  return Mismatch(text, "a time such as 30s, 1h30m or 15d",
                  IsDigits(text) ? absl::StrCat("a number needs its unit: ", text.substr(0, 10), "s?") : "");
}

std::string ShowDuration(absl::Duration duration) {
  std::string text;
  for (const Unit& unit : Units()) {
    const int64_t count = absl::IDivDuration(duration, unit.length, &duration);
    if (count != 0) absl::StrAppend(&text, count, unit.name);
  }
  return text.empty() ? "0" : text;
}

absl::StatusOr<double> ParsePercent(absl::string_view text) {
  absl::string_view number = text;
  double percent = 0;
  if (absl::ConsumeSuffix(&number, "%") && !number.empty() && number.size() <= 8) {
    absl::string_view rest = number;
    TakeNumber(&rest);
    if (rest.empty() && number.back() != '.' && absl::SimpleAtod(number, &percent) && percent > 0 && percent <= 100) {
      return percent;
    }
  }
  return Mismatch(text, "a share above 0% and at most 100%, such as 66%");
}

absl::StatusOr<int> ParseWholeNumber(absl::string_view text) {
  int number = 0;
  if (IsDigits(text) && absl::SimpleAtoi(text, &number)) return number;
  return Mismatch(text, "a whole number");
}

absl::StatusOr<mode_t> ParseMode(absl::string_view text) {
  const bool octal = AllOf(text, [](char c) { return c >= '0' && c <= '7'; });
  if (octal && text.size() == 4 && text.front() == '0') {
    return static_cast<mode_t>((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
  }
  return Mismatch(text, "permissions as four octal digits, the first of them 0", R"(write them as "0644")");
}

absl::Status CheckHostPort(absl::string_view text) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(text);
  if (!parsed.ok()) return parsed.status();
  const bool bad_v4 = LooksLikeIpv4(parsed->host) && !IsNumericAddress(parsed->host);
  if (!bad_v4 && parsed->ToString() == text) return absl::OkStatus();
  return Mismatch(text, "host:port or [v6]:port, such as 10.0.0.1:443");
}

absl::Status CheckUrl(absl::string_view text, const std::vector<absl::string_view>& schemes) {
  const bool known = std::any_of(schemes.begin(), schemes.end(), [&](absl::string_view scheme) {
    return absl::StartsWith(text, absl::StrCat(scheme, "://"));
  });
  if (!known) {
    return Mismatch(text, absl::StrCat("a URL that begins with ", absl::StrJoin(schemes, ":// or "), "://"));
  }
  const absl::string_view after_scheme = text.substr(text.find("://") + 3);
  if (absl::StrContains(after_scheme.substr(0, after_scheme.find_first_of("/?#")), '@')) {
    return FailInput("found a URL with a user name or password, expected one without",
                     "secrets never stand in the configuration");
  }
  if (absl::StrContains(text, '#')) return Mismatch(text, "a URL without fragment (#)");
  if (text.size() <= kMaxUrl && ParseUrl(text).ok()) return absl::OkStatus();
  return Mismatch(text, "a URL with a valid host, without spaces, of at most 2048 characters",
                  "other characters are written as %XX");
}

absl::Status CheckMailto(absl::string_view text) {
  constexpr absl::string_view kExpected = "a contact such as mailto:ops@example.com";
  absl::string_view address = text;
  if (!absl::ConsumePrefix(&address, "mailto:")) {
    const bool bare = address.find('@') != absl::string_view::npos && address.find(':') == absl::string_view::npos;
    return Mismatch(text, kExpected, bare ? "put mailto: before it" : "");
  }
  const bool plain = AllOf(address, [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != ','; });
  const std::vector<absl::string_view> parts = absl::StrSplit(address, '@');
  if (plain && parts.size() == 2 && !parts[0].empty() && IsHost(parts[1], /*underscores=*/false)) {
    return absl::OkStatus();
  }
  return Mismatch(text, kExpected, "one address, without header fields (RFC 8555 section 7.3)");
}

absl::Status CheckAccountName(absl::string_view text) {
  const auto is_letter = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  };
  uint32_t id = 0;
  const bool number = IsDigits(text) && absl::SimpleAtoi(text, &id) && id != std::numeric_limits<uint32_t>::max();
  const bool name = !text.empty() && text.size() <= kMaxAccountName && !IsDigits(text) && AllOf(text, is_letter) &&
                    text.front() != '-' && text.front() != '.';
  if (number || name) return absl::OkStatus();
  return Mismatch(text, "the name or number of a user or group");
}

std::string Quoted(absl::string_view text) {
  size_t size = std::min(text.size(), kMaxShown);
  while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, size)), size < text.size() ? "...\"" : "\"");
}

absl::string_view NearestWord(absl::string_view word, const std::vector<absl::string_view>& words) {
  absl::string_view nearest;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  if (word.size() > kMaxName) return nearest;
  for (const absl::string_view candidate : words) {
    // Longer or shorter by so much can't be nearer.
    const size_t difference = std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());
    if (difference >= least) continue;
    const size_t distance = EditDistance(word, candidate);
    if (distance < least && distance < candidate.size()) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace certcast
