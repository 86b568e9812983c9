#include "controller/acme/dns_persist01.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "controller/acme/zone_servers.h"

namespace certcast::controller {
namespace {

using Challenge = state::v1::PresentedChallenge;

constexpr absl::Duration kTimeout = absl::Seconds(3);

bool IsIssuer(absl::string_view name, const Challenge& challenge) {
  absl::ConsumeSuffix(&name, ".");
  const auto& names = challenge.issuer_domain_names();
  return names.empty() ? !name.empty() : std::any_of(names.begin(), names.end(), [&](absl::string_view issuer) {
    absl::ConsumeSuffix(&issuer, ".");
    return absl::EqualsIgnoreCase(issuer, name);
  });
}

// The record to be made.
std::string Wanted(const Challenge& challenge) {
  return absl::StrCat(challenge.fqdn(), " IN TXT \"",
                      challenge.issuer_domain_names().empty() ? "CA" : challenge.issuer_domain_names(0),
                      "; accounturi=", challenge.account_url().empty() ? "ACCOUNT" : challenge.account_url(),
                      challenge.wildcard() ? "; policy=wildcard" : "", "\"");
}

}  // namespace

bool AllowsIssuance(absl::string_view record, const Challenge& challenge, absl::Time now) {
  const std::vector<absl::string_view> parts = absl::StrSplit(record, ';');
  if (!IsIssuer(absl::StripAsciiWhitespace(parts.front()), challenge)) return false;
  bool is_account = false;
  bool is_wildcard = false;
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(absl::StripAsciiWhitespace(parts[i]), absl::MaxSplits('=', 1));
    const absl::string_view tag = absl::StripAsciiWhitespace(parameter.first);
    const absl::string_view value = absl::StripAsciiWhitespace(parameter.second);
    if (tag == "accounturi") is_account = challenge.account_url().empty() || value == challenge.account_url();
    if (tag == "policy") is_wildcard = absl::EqualsIgnoreCase(value, "wildcard");
    if (tag != "persistUntil") continue;
    int64_t seconds = 0;
    if (!absl::SimpleAtoi(value, &seconds) || absl::FromUnixSeconds(seconds) <= now) return false;
  }
  return is_account && (is_wildcard || !challenge.wildcard());
}

absl::Status DnsPersist01::Prepare(Challenge& challenge) {
  challenge.set_fqdn(absl::StrCat("_validation-persist.", challenge.domain(), "."));
  return absl::OkStatus();
}

absl::Status DnsPersist01::AwaitVisible(const std::vector<Challenge>& challenges,
                                        const std::function<void(absl::string_view)>&) {
  if (propagation_.skip) return absl::OkStatus();
  for (const Challenge& challenge : challenges) {
    const auto records = Records(challenge.fqdn());
    if (!records.ok()) return WithStep(records.status(), "propagation");
    const auto allows = [&](const std::string& record) { return AllowsIssuance(record, challenge, clock_.Now()); };
    if (std::any_of(records->begin(), records->end(), allows)) continue;
    return WithStep(Fail(Reason::CHALLENGE_FAILED,
                         absl::StrCat("no TXT record at ", challenge.fqdn(), " allows it; there is ",
                                      records->empty() ? "none" : absl::StrJoin(*records, ", ")),
                         absl::StrCat("make it once, for all orders: ", Wanted(challenge))),
                    "propagation");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> DnsPersist01::Records(const std::string& fqdn) {
  std::vector<std::string> servers = propagation_.resolvers;
  const bool recursion = !servers.empty();
  std::string name = fqdn;
  if (servers.empty()) {
    ASSIGN_OR_RETURN(const AuthoritativeServers found, FindAuthoritativeServers(dns_, fqdn));
    name = found.name;
    for (const NameServer& server : found.servers) {
      servers.insert(servers.end(), server.addresses.begin(), server.addresses.end());
    }
  }
  absl::Status last = Fail(Reason::CHALLENGE_FAILED, absl::StrCat("nobody could be asked for ", fqdn));
  for (const std::string& server : servers) {
    const auto reply = dns_.Ask(server, {.name = name, .type = DnsType::kTxt, .recursion = recursion}, kTimeout);
    if (!reply.ok()) {
      last = WithReason(reply.status(), Reason::CHALLENGE_FAILED);
      continue;
    }
    if (!reply->conclusive()) {
      last = Fail(Reason::CHALLENGE_FAILED, absl::StrCat(server, " answered ", reply->RcodeName(), " for ", name));
      continue;
    }
    std::vector<std::string> records;
    for (const DnsRecord& record : reply->answers) {
      if (record.type == DnsType::kTxt) records.push_back(record.data);
    }
    return records;
  }
  return last;
}

}  // namespace certcast::controller
