#include "controller/acme/zone_servers.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr int kMaxSteps = 8;
constexpr size_t kMaxServers = 16;
// Of each of the two kinds.
constexpr size_t kMaxAddresses = 2;
constexpr absl::Duration kTimeout = absl::Seconds(3);
constexpr absl::string_view kHint =
    "name the servers to ask in challenge.propagation.resolvers, or set propagation.skip where they can't be asked "
    "from "
    "here";

absl::Status NotFound(absl::string_view text) {
  return Fail(Reason::CHALLENGE_FAILED, text, kHint);
}

std::string Parent(const std::string& name) {
  const size_t dot = name.find('.');
  return dot + 1 < name.size() ? name.substr(dot + 1) : ".";
}

std::vector<std::string> DataOf(const std::vector<DnsRecord>& records, DnsType type, size_t limit) {
  std::vector<std::string> data;
  for (const DnsRecord& record : records) {
    if (record.type == type && data.size() < limit) data.push_back(record.data);
  }
  return data;
}

const DnsRecord* FindRecord(const std::vector<DnsRecord>& records, const std::string& owner, DnsType type) {
  const auto it = std::find_if(records.begin(), records.end(),
                               [&](const DnsRecord& r) { return r.owner == owner && r.type == type; });
  return it == records.end() ? nullptr : &*it;
}

class Finder {
 public:
  Finder(DnsClient& dns, std::vector<std::string> resolvers) : dns_(dns), resolvers_(std::move(resolvers)) {}

  absl::StatusOr<AuthoritativeServers> Find(std::string name) {
    if (resolvers_.empty()) {
      ASSIGN_OR_RETURN(resolvers_, dns_.SystemResolvers());
    }
    // The parent: a resolver that is asked for the name itself would remember that it was not there.
    ASSIGN_OR_RETURN(std::vector<NameServer> servers, ServersOfZoneAbove(Parent(name)));
    for (int step = 0; step < kMaxSteps; ++step) {
      ASSIGN_OR_RETURN(const DnsReply reply, AskOneOf(servers, name));
      if (const DnsRecord* cname = FindRecord(reply.answers, name, DnsType::kCname)) {
        name = cname->data;
        ASSIGN_OR_RETURN(servers, ServersOfZoneAbove(Parent(name)));
        continue;
      }
      const std::vector<std::string> delegated = DataOf(reply.authority, DnsType::kNs, kMaxServers);
      if (reply.authoritative || !reply.answers.empty() || delegated.empty()) {
        return AuthoritativeServers{.name = name, .servers = std::move(servers)};
      }
      ASSIGN_OR_RETURN(servers, WithAddresses(delegated, name));
    }
    return NotFound(absl::StrCat("the name servers of ", name, " could not be found: more than ", kMaxSteps,
                                 " CNAMEs and delegations on the way"));
  }

 private:
  // Each resolver in turn, until one answers.
  absl::StatusOr<DnsReply> Resolve(const std::string& name, DnsType type) {
    absl::Status last = NotFound("there is no resolver in /etc/resolv.conf");
    for (const std::string& resolver : resolvers_) {
      auto reply = dns_.Ask(resolver, {.name = name, .type = type, .recursion = true}, kTimeout);
      if (reply.ok() && reply->conclusive()) return reply;
      last = reply.ok()
                 ? NotFound(absl::StrCat("the resolver ", resolver, " answered ", reply->RcodeName(), " for ", name))
                 : WithHint(WithReason(reply.status(), Reason::CHALLENGE_FAILED), kHint);
    }
    return last;
  }

  // Of the zone that `name` is in: the lowest ancestor, itself included, that has an SOA of its own.
  absl::StatusOr<std::vector<NameServer>> ServersOfZoneAbove(const std::string& name) {
    for (std::string zone = name; zone != "."; zone = Parent(zone)) {
      ASSIGN_OR_RETURN(const DnsReply reply, Resolve(zone, DnsType::kSoa));
      if (FindRecord(reply.answers, zone, DnsType::kSoa) == nullptr) continue;
      ASSIGN_OR_RETURN(const DnsReply servers, Resolve(zone, DnsType::kNs));
      return WithAddresses(DataOf(servers.answers, DnsType::kNs, kMaxServers), zone);
    }
    return NotFound(absl::StrCat("no zone holds ", name, ": neither it nor a parent has an SOA record"));
  }

  absl::StatusOr<std::vector<NameServer>> WithAddresses(const std::vector<std::string>& names,
                                                        const std::string& zone) {
    std::vector<NameServer> servers;
    for (const std::string& name : names) {
      NameServer server{.name = name};
      for (const DnsType type : {DnsType::kA, DnsType::kAaaa}) {
        ASSIGN_OR_RETURN(const DnsReply reply, Resolve(name, type));
        for (const std::string& address : DataOf(reply.answers, type, kMaxAddresses)) {
          server.addresses.push_back(type == DnsType::kA ? absl::StrCat(address, ":53")
                                                         : absl::StrCat("[", address, "]:53"));
        }
      }
      if (server.addresses.empty())
        return NotFound(absl::StrCat("the name server ", name, " of ", zone, " has no address"));
      servers.push_back(std::move(server));
    }
    if (servers.empty()) return NotFound(absl::StrCat("the zone ", zone, " has no NS record"));
    return servers;
  }

  absl::StatusOr<DnsReply> AskOneOf(const std::vector<NameServer>& servers, const std::string& name) {
    absl::Status last;
    for (const NameServer& server : servers) {
      for (const std::string& address : server.addresses) {
        auto reply = dns_.Ask(address, {.name = name, .type = DnsType::kTxt, .recursion = false}, kTimeout);
        if (reply.ok()) return reply;
        last = Annotate(reply.status(), absl::StrCat("asking ", server.name, " for ", name));
      }
    }
    return WithHint(WithReason(last, Reason::CHALLENGE_FAILED), kHint);
  }

  DnsClient& dns_;
  std::vector<std::string> resolvers_;
};

}  // namespace

absl::StatusOr<AuthoritativeServers> FindAuthoritativeServers(DnsClient& dns, const std::string& fqdn,
                                                              const std::vector<std::string>& resolvers) {
  return Finder(dns, resolvers).Find(fqdn);
}

}  // namespace certcast::controller
