// Host names as the system resolves them: DNS, /etc/hosts, and what else nsswitch.conf(5) says. Not for static
// binaries.
#ifndef CERTCAST_COMMON_PROBE_SYSTEM_RESOLVER_H_
#define CERTCAST_COMMON_PROBE_SYSTEM_RESOLVER_H_

#include "common/probe/resolver.h"

namespace certcast {

// Lives for ever. A look-up that nobody answers goes on in a thread of its own until the system gives it up.
Resolver& SystemResolver();

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_SYSTEM_RESOLVER_H_
