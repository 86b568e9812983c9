#include "controller/acme/dns_client.h"

#include <iterator>

#include "absl/strings/str_cat.h"

namespace certcast::controller {

std::string DnsReply::RcodeName() const {
  // RFC 6895 section 2.3.
  constexpr const char* kNames[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
                                    "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE"};
  if (rcode >= 0 && rcode < static_cast<int>(std::size(kNames))) return kNames[rcode];
  return absl::StrCat("RCODE ", rcode);
}

}  // namespace certcast::controller
