#include "controller/acme/delegated_name.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/acme/zone_servers.h"

namespace certcast::controller {
namespace {

constexpr int kMaxCnames = 8;
constexpr absl::Duration kTimeout = absl::Seconds(3);
constexpr int kNoSuchName = 3;

// One step; the name itself: it is no CNAME. nullopt: this server does not know.
std::optional<std::string> Step(DnsClient& dns, const std::string& server, const std::string& name) {
  const auto reply = dns.Ask(server, {.name = name, .type = DnsType::kCname, .recursion = true}, kTimeout);
  if (!reply.ok()) return std::nullopt;
  const auto cname = std::find_if(reply->answers.begin(), reply->answers.end(), [&](const DnsRecord& record) {
    return record.type == DnsType::kCname && record.owner == name;
  });
  if (cname != reply->answers.end()) return cname->data;
  // A server of another zone refuses, or sends elsewhere.
  const bool knows = reply->authoritative || reply->authority.empty() || reply->authority.front().type == DnsType::kSoa;
  return (reply->ok() || reply->rcode == kNoSuchName) && knows ? std::optional(name) : std::nullopt;
}

}  // namespace

absl::StatusOr<std::string> FollowCnames(DnsClient& dns, const std::vector<std::string>& servers,
                                         const std::string& fqdn) {
  std::string name = absl::AsciiStrToLower(fqdn);
  for (int step = 0; step < kMaxCnames; ++step) {
    std::optional<std::string> next;
    for (const std::string& server : servers) {
      if (next = Step(dns, server, name); next.has_value()) break;
    }
    if (!next.has_value()) {
      ASSIGN_OR_RETURN(const AuthoritativeServers found, FindAuthoritativeServers(dns, name));
      return found.name;
    }
    if (*next == name) return name;
    name = *next;
  }
  return Fail(Reason::CHALLENGE_FAILED, absl::StrCat(fqdn, " leads to more than ", kMaxCnames, " CNAMEs"),
              "does one lead back to another?");
}

}  // namespace certcast::controller
