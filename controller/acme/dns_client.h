// DNS questions to one server at a time: what the propagation check is made of.
#ifndef CERTCAST_CONTROLLER_ACME_DNS_CLIENT_H_
#define CERTCAST_CONTROLLER_ACME_DNS_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/secret/secret.h"

namespace certcast::controller {

enum class DnsType { kA, kAaaa, kCname, kNs, kSoa, kTxt };

// One resource record.
struct DnsRecord {
  // Lower case, with the final dot.
  std::string owner;
  DnsType type = DnsType::kTxt;
  // TXT: its strings, joined. A, AAAA: the address. NS, CNAME: the target, lower case, with the final dot. SOA: MNAME.
  std::string data;

  friend bool operator==(const DnsRecord&, const DnsRecord&) = default;
};

struct DnsReply {
  // NOERROR 0, NXDOMAIN 3 (RFC 1035 section 4.1.1).
  int rcode = 0;
  bool authoritative = false;
  // The server also looks up, and remembers, what others hold (the RA bit).
  bool recursion_available = false;
  // Records of types that are not in DnsType are left out.
  std::vector<DnsRecord> answers;
  std::vector<DnsRecord> authority;

  bool ok() const { return rcode == 0; }
  // It knows whether there is such a name.
  bool conclusive() const { return rcode == 0 || rcode == 3; }
  // `NOERROR`, `NXDOMAIN`, `SERVFAIL`...
  std::string RcodeName() const;
};

struct DnsQuestion {
  std::string name;
  DnsType type = DnsType::kTxt;
  // The RD bit: set for resolvers, not for authoritative servers.
  bool recursion = true;
};

// Who signs an update (RFC 8945).
struct TsigKey {
  // With the final dot.
  std::string name;
  // `hmac-sha256` or `hmac-sha512`.
  std::string algorithm;
  // Base64.
  Secret secret;
};

// One TXT record, by its value (RFC 2136): others at the same name stay.
struct TxtUpdate {
  // With the final dot, both.
  std::string zone;
  std::string name;
  // At most 255 bytes.
  std::string value;
  // Else it is removed.
  bool add = true;
  // Seconds.
  uint32_t ttl = 60;
};

// Thread-safe.
class DnsClient {
 public:
  virtual ~DnsClient() = default;
  // Asks `server` (host:port, [v6]:port) once, over UDP and, when the answer is cut off, TCP. Idempotent. Any rcode is
  // a success. Errors: TIMED_OUT, NO_ROUTE, PROTOCOL.
  virtual absl::StatusOr<DnsReply> Ask(const std::string& server, const DnsQuestion& question,
                                       absl::Duration timeout) = 0;
  // Sends the update to `server` once; NOERROR also where nothing had to be changed. `key`: signs it, and the answer
  // must be signed with it too; nullptr: unsigned. Idempotent. Any other rcode is an error, PROTOCOL; an answer that is
  // not signed as it should be is AUTH_FAILED; and as above. Nothing of the key is in an error.
  virtual absl::Status Update(const std::string& server, const TxtUpdate& update, const TsigKey* key,
                              absl::Duration timeout) = 0;
  // Of /etc/resolv.conf, as host:port.
  virtual absl::StatusOr<std::vector<std::string>> SystemResolvers() = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS_CLIENT_H_
