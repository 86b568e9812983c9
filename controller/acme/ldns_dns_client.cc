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
#include "common/secret/secret.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxRecords = 256;

struct LdnsDeleter {
  void operator()(ldns_pkt* p) const { ldns_pkt_free(p); }
  void operator()(ldns_rdf* p) const { ldns_rdf_deep_free(p); }
  void operator()(ldns_rr* p) const { ldns_rr_free(p); }
  void operator()(ldns_rr_list* p) const { ldns_rr_list_deep_free(p); }
  void operator()(ldns_resolver* p) const {
    // A TSIG key, copied into it.
    if (const char* key = ldns_resolver_tsig_keydata(p); key != nullptr) Wipe(const_cast<char*>(key), strlen(key));
    ldns_resolver_deep_free(p);
  }
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

absl::StatusOr<LdnsPtr<ldns_rdf>> DomainName(const std::string& name) {
  ldns_rdf* rdf = nullptr;
  if (ldns_str2rdf_dname(&rdf, name.c_str()) == LDNS_STATUS_OK) return LdnsPtr<ldns_rdf>(rdf);
  return FailInput(absl::StrCat("`", name, "` is no domain name"));
}

std::string RcodeName(int rcode) {
  DnsReply reply;
  reply.rcode = rcode;
  return reply.RcodeName();
}

// What an update has in its update section (RFC 2136 section 2.5).
absl::StatusOr<LdnsPtr<ldns_rr>> RecordOf(const TxtUpdate& update) {
  ASSIGN_OR_RETURN(LdnsPtr<ldns_rdf> owner, DomainName(update.name));
  LdnsPtr<ldns_rdf> value(ldns_rdf_new_frm_str(LDNS_RDF_TYPE_STR, update.value.c_str()));
  LdnsPtr<ldns_rr> rr(ldns_rr_new());
  if (value == nullptr || rr == nullptr)
    return FailInput(absl::StrCat("`", update.value, "` is no text of a TXT record"));
  ldns_rr_set_owner(rr.get(), owner.release());
  ldns_rr_set_type(rr.get(), LDNS_RR_TYPE_TXT);
  ldns_rr_set_class(rr.get(), update.add ? LDNS_RR_CLASS_IN : LDNS_RR_CLASS_NONE);
  ldns_rr_set_ttl(rr.get(), update.add ? update.ttl : 0);
  ldns_rr_push_rdf(rr.get(), value.release());
  return rr;
}

absl::StatusOr<LdnsPtr<ldns_pkt>> UpdatePacket(const TxtUpdate& update) {
  ASSIGN_OR_RETURN(LdnsPtr<ldns_rdf> zone, DomainName(update.zone));
  ASSIGN_OR_RETURN(LdnsPtr<ldns_rr> record, RecordOf(update));
  const LdnsPtr<ldns_rr_list> records(ldns_rr_list_new());
  ldns_rr_list_push_rr(records.get(), record.release());
  // The packet owns the zone's name, and copies of the records.
  LdnsPtr<ldns_pkt> packet(ldns_update_pkt_new(zone.release(), LDNS_RR_CLASS_IN, nullptr, records.get(), nullptr));
  if (packet == nullptr) return absl::ResourceExhaustedError("no memory for a DNS update");
  ldns_pkt_set_random_id(packet.get());
  return packet;
}

// Also sees to it that the answer is verified.
absl::Status Sign(ldns_pkt& packet, ldns_resolver& resolver, const TsigKey& key) {
  ldns_resolver_set_tsig_keyname(&resolver, key.name.c_str());
  ldns_resolver_set_tsig_algorithm(&resolver, absl::StrCat(key.algorithm, ".").c_str());
  std::string secret(key.secret.ExposeSecret());
  ldns_resolver_set_tsig_keydata(&resolver, secret.c_str());
  Wipe(secret.data(), secret.size());
  const ldns_status signed_ = ldns_update_pkt_tsig_add(&packet, &resolver);
  if (signed_ == LDNS_STATUS_OK && ldns_pkt_tsig(&packet) != nullptr) return absl::OkStatus();
  return FailInput(
      absl::StrCat("the update can't be signed with the key ", key.name, ": ", ldns_get_errorstr_by_id(signed_)),
      "its secret is base64, as `tsig-keygen` writes it");
}

// Of a server that said no.
absl::Status UpdateRefused(const std::string& server, const TxtUpdate& update, int rcode) {
  const char* hint = "";
  if (rcode == LDNS_RCODE_REFUSED) hint = "does its update policy allow TXT records at this name, with this key?";
  if (rcode == LDNS_RCODE_NOTAUTH) hint = "does it have the key under this name, and is it the zone's primary server?";
  if (rcode == LDNS_RCODE_NOTZONE) hint = "the name is not in challenge.rfc2136.zone";
  if (rcode == LDNS_RCODE_SERVFAIL) hint = "its log says why; may it write its journal?";
  return Fail(Reason::PROTOCOL,
              absl::StrCat("the DNS server ", server, " answered ", RcodeName(rcode), " to an update of the zone ",
                           update.zone),
              hint);
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
                    .recursion_available = ldns_pkt_ra(answer.get()) != 0,
                    .answers = Records(ldns_pkt_answer(answer.get())),
                    .authority = Records(ldns_pkt_authority(answer.get()))};
  }

  absl::Status Update(const std::string& server, const TxtUpdate& update, const TsigKey* key,
                      absl::Duration timeout) override {
    ASSIGN_OR_RETURN(const LdnsPtr<ldns_resolver> resolver, ResolverFor(server, timeout));
    ASSIGN_OR_RETURN(const LdnsPtr<ldns_pkt> packet, UpdatePacket(update));
    if (key != nullptr) RETURN_IF_ERROR(Sign(*packet, *resolver, *key));
    ldns_pkt* raw_answer = nullptr;
    const ldns_status sent = ldns_resolver_send_pkt(&raw_answer, resolver.get(), packet.get());
    const LdnsPtr<ldns_pkt> answer(raw_answer);
    const int rcode = answer == nullptr ? 0 : ldns_pkt_get_rcode(answer.get());
    // One that does not know the key can't sign its answer either.
    if (rcode != LDNS_RCODE_NOERROR) return UpdateRefused(server, update, rcode);
    if (sent == LDNS_STATUS_CRYPTO_TSIG_BOGUS || sent == LDNS_STATUS_CRYPTO_TSIG_ERR) {
      return Fail(Reason::AUTH_FAILED,
                  absl::StrCat("the answer of the DNS server ", server, " is not signed with the key ", key->name),
                  "does it have this key under this name, with the same secret and algorithm?");
    }
    if (sent != LDNS_STATUS_OK) return SendError(sent, server);
    if (answer == nullptr || ldns_pkt_id(answer.get()) != ldns_pkt_id(packet.get()) || !ldns_pkt_qr(answer.get())) {
      return Fail(Reason::PROTOCOL, absl::StrCat("the DNS server ", server, " sent something else than an answer"));
    }
    return absl::OkStatus();
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
