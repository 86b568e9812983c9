#include "common/probe/address.h"

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {
namespace {

absl::Status NotAnAddress(absl::string_view text, absl::string_view why) {
  return FailInput(absl::StrCat("\"", absl::CHexEscape(text), "\" is not an address: ", why),
                   "an address is host:port or [v6]:port, as 10.0.0.1:443");
}

absl::Status NotAUrl(absl::string_view text, absl::string_view why) {
  return FailInput(absl::StrCat("\"", absl::CHexEscape(text), "\" is not a URL that can be probed: ", why),
                   "as https://127.0.0.1:8443/healthz");
}

// Host, and the text after the colon; both views of `text`.
struct Pieces {
  absl::string_view host;
  absl::string_view port;
  bool has_port = false;
  bool is_bracketed = false;
};

bool Cut(absl::string_view text, Pieces& pieces) {
  if (absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return false;
    pieces.is_bracketed = true;
    pieces.host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    if (text.empty()) return true;
    if (!absl::ConsumePrefix(&text, ":")) return false;
  } else {
    const size_t colon = text.find(':');
    pieces.host = text.substr(0, colon);
    if (colon == absl::string_view::npos) return true;
    text.remove_prefix(colon + 1);
  }
  pieces.has_port = true;
  pieces.port = text;
  return true;
}

bool IsHostName(absl::string_view host) {
  if (host.empty() || host.size() > 253 || host[0] == '-' || host[0] == '.') return false;
  for (const char c : host) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.' && c != '_') return false;
  }
  return true;
}

bool IsIpv6(absl::string_view host) {
  in6_addr address;
  return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
}

bool ParsePort(absl::string_view text, uint16_t& port) {
  int number = 0;
  // SimpleAtoi takes signs and spaces as well.
  if (text.find_first_not_of("0123456789") != absl::string_view::npos) return false;
  if (!absl::SimpleAtoi(text, &number) || number < 1 || number > 65535) return false;
  port = static_cast<uint16_t>(number);
  return true;
}

// What is wrong with the host, or nothing.
absl::string_view HostProblem(const Pieces& pieces) {
  if (pieces.is_bracketed) return IsIpv6(pieces.host) ? "" : "between the brackets must be an IPv6 address";
  return IsHostName(pieces.host) ? "" : "its host is neither a name nor a numeric address";
}

}  // namespace

std::string HostPort::ToString() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

bool IsNumericAddress(absl::string_view host) {
  in_addr address;
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 || IsIpv6(host);
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  if (IsIpv6(text)) return NotAnAddress(text, "an IPv6 address needs brackets, and a port after them");
  Pieces pieces;
  if (!Cut(text, pieces)) return NotAnAddress(text, "its brackets don't match");
  if (const absl::string_view problem = HostProblem(pieces); !problem.empty()) return NotAnAddress(text, problem);
  if (!pieces.has_port) return NotAnAddress(text, "it has no port");
  HostPort result = {.host = std::string(pieces.host)};
  if (!ParsePort(pieces.port, result.port)) return NotAnAddress(text, "its port is not a number from 1 to 65535");
  return result;
}

absl::StatusOr<Url> ParseUrl(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return NotAUrl(text, "it has a character that must be percent-encoded (RFC 3986 section 2.1)");
    }
  }
  absl::string_view rest = text.substr(0, text.find('#'));
  Url url;
  url.is_https = absl::ConsumePrefix(&rest, "https://");
  if (!url.is_https && !absl::ConsumePrefix(&rest, "http://"))
    return NotAUrl(text, "it does not start with http(s)://");
  const absl::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  rest.remove_prefix(authority.size());
  if (absl::StrContains(authority, '@')) return NotAUrl(text, "it has a user name or password");
  Pieces pieces;
  if (!Cut(authority, pieces)) return NotAUrl(text, "its brackets don't match");
  if (const absl::string_view problem = HostProblem(pieces); !problem.empty()) return NotAUrl(text, problem);
  url.to = {.host = std::string(pieces.host), .port = static_cast<uint16_t>(url.is_https ? 443 : 80)};
  if (pieces.has_port && !ParsePort(pieces.port, url.to.port)) {
    return NotAUrl(text, "its port is not a number from 1 to 65535");
  }
  url.authority = std::string(authority);
  url.path = absl::StartsWith(rest, "/") ? std::string(rest) : absl::StrCat("/", rest);
  return url;
}

}  // namespace certcast
