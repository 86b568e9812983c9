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

// One step; the name itself: it is no CNAME. nullopt: this server does not know.
std::optional<std::string> Step(DnsClient& dns, const std::string& server, const std::string& name, bool recursion) {
  const auto reply = dns.Ask(server, {.name = name, .type = DnsType::kCname, .recursion = recursion}, kTimeout);
  if (!reply.ok()) return std::nullopt;
  const auto cname = std::find_if(reply->answers.begin(), reply->answers.end(), [&](const DnsRecord& record) {
    return record.type == DnsType::kCname && record.owner == name;
  });
  if (cname != reply->answers.end()) return cname->data;
  if (!reply->conclusive()) return std::nullopt;
  // A server of another zone sends elsewhere; a resolver that did not look says nothing.
  const bool looked = recursion || !reply->recursion_available;
  const bool knows =
      reply->authoritative || (reply->authority.empty() ? looked : reply->authority.front().type == DnsType::kSoa);
  return knows ? std::optional(name) : std::nullopt;
}

// The same of the first server that knows.
std::optional<std::string> StepByAny(DnsClient& dns, const std::vector<std::string>& servers, const std::string& name,
                                     bool recursion) {
  for (const std::string& server : servers) {
    if (auto next = Step(dns, server, name, recursion)) return next;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::string> FollowCnames(DnsClient& dns, const std::vector<std::string>& servers,
                                         const std::string& fqdn, const std::vector<std::string>& resolvers) {
  std::string name = absl::AsciiStrToLower(fqdn);
  for (int step = 0; step < kMaxCnames; ++step) {
    std::optional<std::string> next = StepByAny(dns, servers, name, /*recursion=*/false);
    if (!next.has_value()) {
      const auto found = FindAuthoritativeServers(dns, name, resolvers);
      if (found.ok()) return found->name;
      next = StepByAny(dns, servers, name, /*recursion=*/true);
      if (!next.has_value()) return found.status();
    }
    if (*next == name) return name;
    name = *next;
  }
  return Fail(Reason::CHALLENGE_FAILED, absl::StrCat(fqdn, " leads to more than ", kMaxCnames, " CNAMEs"),
              "does one lead back to another?");
}

}  // namespace certcast::controller
