#include "controller/acme/ldns_dns_client.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxRecords = 256;

struct LdnsDeleter {
  void operator()(ldns_pkt* p) const { ldns_pkt_free(p); }
  void operator()(ldns_rdf* p) const { ldns_rdf_deep_free(p); }
  void operator()(ldns_resolver* p) const { ldns_resolver_deep_free(p); }
};
template <typename T>
using LdnsPtr = std::unique_ptr<T, LdnsDeleter>;

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> SplitHostPort(absl::string_view server) {
  const size_t colon = server.rfind(':');
  if (colon == absl::string_view::npos || colon + 1 == server.size()) {
    return FailInput(absl::StrCat("`", server, "` is no DNS server"), "write host:port or [v6]:port");
  }
  absl::string_view host = server.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return HostPort{std::string(host), std::string(server.substr(colon + 1))};
}

// A resolver that asks this server alone, once.
absl::StatusOr<LdnsPtr<ldns_resolver>> ResolverFor(const std::string& server, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const HostPort target, SplitHostPort(server));
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found); error != 0) {
    return Fail(Reason::NO_ROUTE, absl::StrCat("the DNS server ", server, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  sockaddr_storage storage = {};
  std::memcpy(&storage, found->ai_addr, found->ai_addrlen);
  uint16_t port = 0;
  const LdnsPtr<ldns_rdf> address(ldns_sockaddr_storage2rdf(&storage, &port));
  LdnsPtr<ldns_resolver> resolver(ldns_resolver_new());
  if (address == nullptr || resolver == nullptr ||
      ldns_resolver_push_nameserver(resolver.get(), address.get()) != LDNS_STATUS_OK) {
    return Fail(Reason::NO_ROUTE, absl::StrCat("the DNS server ", server, " has no usable address"));
  }
  ldns_resolver_set_port(resolver.get(), port);
  ldns_resolver_set_timeout(resolver.get(), absl::ToTimeval(timeout));
  ldns_resolver_set_retry(resolver.get(), 1);
  // Any rcode is an answer.
  ldns_resolver_set_fail(resolver.get(), false);
  return resolver;
}

ldns_rr_type ToLdns(DnsType type) {
  switch (type) {
    case DnsType::kA:
      return LDNS_RR_TYPE_A;
    case DnsType::kAaaa:
      return LDNS_RR_TYPE_AAAA;
    case DnsType::kCname:
      return LDNS_RR_TYPE_CNAME;
    case DnsType::kNs:
      return LDNS_RR_TYPE_NS;
    case DnsType::kSoa:
      return LDNS_RR_TYPE_SOA;
    case DnsType::kTxt:
      return LDNS_RR_TYPE_TXT;
  }
  return LDNS_RR_TYPE_TXT;
}

std::optional<DnsType> FromLdns(ldns_rr_type type) {
  for (const DnsType known :
       {DnsType::kA, DnsType::kAaaa, DnsType::kCname, DnsType::kNs, DnsType::kSoa, DnsType::kTxt}) {
    if (ToLdns(known) == type) return known;
  }
  return std::nullopt;
}

std::string Text(const ldns_rdf* rdf) {
  char* raw = ldns_rdf2str(rdf);
  std::string text = raw == nullptr ? "" : raw;
  std::free(raw);
  return text;
}

// A TXT record's character-strings (RFC 1035 section 3.3.14), joined as RFC 8555 section 8.4 reads them.
std::string JoinStrings(const ldns_rr* rr) {
  std::string joined;
  for (size_t i = 0; i < ldns_rr_rd_count(rr); ++i) {
    const ldns_rdf* rdf = ldns_rr_rdf(rr, i);
    if (ldns_rdf_size(rdf) < 1) continue;
    joined.append(reinterpret_cast<const char*>(ldns_rdf_data(rdf)) + 1, ldns_rdf_size(rdf) - 1);
  }
  return joined;
}

std::vector<DnsRecord> Records(const ldns_rr_list* list) {
  std::vector<DnsRecord> records;
  for (size_t i = 0; i < ldns_rr_list_rr_count(list) && records.size() < kMaxRecords; ++i) {
    const ldns_rr* rr = ldns_rr_list_rr(list, i);
    const std::optional<DnsType> type = FromLdns(ldns_rr_get_type(rr));
    if (!type || ldns_rr_rd_count(rr) == 0) continue;
    records.push_back(
        {.owner = absl::AsciiStrToLower(Text(ldns_rr_owner(rr))),
         .type = *type,
         .data = *type == DnsType::kTxt ? JoinStrings(rr) : absl::AsciiStrToLower(Text(ldns_rr_rdf(rr, 0)))});
  }
  return records;
}

absl::Status SendError(ldns_status error, const std::string& server) {
  // ldns says the same for "refused" and for "no answer in time".
  if (error == LDNS_STATUS_NETWORK_ERR || error == LDNS_STATUS_SOCKET_ERROR) {
    return Fail(Reason::TIMED_OUT, absl::StrCat("no answer from the DNS server ", server));
  }
  return Fail(Reason::PROTOCOL, absl::StrCat("the DNS server ", server, ": ", ldns_get_errorstr_by_id(error)));
}

class LdnsClient final : public DnsClient {
 public:
  absl::StatusOr<DnsReply> Ask(const std::string& server, const DnsQuestion& question,
                               absl::Duration timeout) override {
    ASSIGN_OR_RETURN(const LdnsPtr<ldns_resolver> resolver, ResolverFor(server, timeout));
    ldns_rdf* raw_name = nullptr;
    if (ldns_str2rdf_dname(&raw_name, question.name.c_str()) != LDNS_STATUS_OK) {
      return FailInput(absl::StrCat("`", question.name, "` is no domain name"));
    }
    // The packet owns the name.
    const LdnsPtr<ldns_pkt> query(
        ldns_pkt_query_new(raw_name, ToLdns(question.type), LDNS_RR_CLASS_IN, question.recursion ? LDNS_RD : 0));
    ldns_pkt_set_random_id(query.get());
    ldns_pkt* raw_answer = nullptr;
    const ldns_status sent = ldns_resolver_send_pkt(&raw_answer, resolver.get(), query.get());
    const LdnsPtr<ldns_pkt> answer(raw_answer);
    if (sent != LDNS_STATUS_OK) return SendError(sent, server);
    if (answer == nullptr || ldns_pkt_id(answer.get()) != ldns_pkt_id(query.get()) || !ldns_pkt_qr(answer.get())) {
      return Fail(Reason::PROTOCOL, absl::StrCat("the DNS server ", server, " sent something else than an answer"));
    }
    return DnsReply{.rcode = ldns_pkt_get_rcode(answer.get()),
                    .authoritative = ldns_pkt_aa(answer.get()) != 0,
                    .answers = Records(ldns_pkt_answer(answer.get())),
                    .authority = Records(ldns_pkt_authority(answer.get()))};
  }

  absl::StatusOr<std::vector<std::string>> SystemResolvers() override {
    std::ifstream file("/etc/resolv.conf");
    std::vector<std::string> servers;
    for (std::string line; std::getline(file, line);) {
      const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
      if (words.size() < 2 || words[0] != "nameserver") continue;
      servers.push_back(words[1].find(':') == std::string::npos ? absl::StrCat(words[1], ":53")
                                                                : absl::StrCat("[", words[1], "]:53"));
    }
    // As resolv.conf(5) has it.
    if (servers.empty()) servers.push_back("127.0.0.1:53");
    return servers;
  }
};

}  // namespace

std::unique_ptr<DnsClient> MakeLdnsClient() {
  return std::make_unique<LdnsClient>();
}

}  // namespace certcast::controller
