// A network of the test's own, for servers that only know the well-known ports and the machine's resolver.
#ifndef CERTCAST_TESTS_TESTING_PRIVATE_NETWORK_H_
#define CERTCAST_TESTS_TESTING_PRIVATE_NETWORK_H_

#include <string>

#include "absl/status/status.h"

namespace certcast::testing {

// From now on this thread, and the programs that it starts, are in a network that has the loopback interface alone,
// with all of its ports free, and ask 127.0.0.1:53 for names: /etc/resolv.conf is another file there. `folder` keeps
// that file, and lasts as long as the process. Runs as root. For good: call it once, before anything is started.
absl::Status EnterPrivateNetwork(const std::string& folder);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_PRIVATE_NETWORK_H_
