// ACME clients that nobody here wrote, as Debian ships them, run once against Pebble: each obtains one certificate for
// demo.test and *.demo.test by dns-01 with a hook, and keeps it, and its account, in a folder.
#ifndef CERTCAST_TESTS_TESTING_OTHER_CLIENTS_H_
#define CERTCAST_TESTS_TESTING_OTHER_CLIENTS_H_

#include <string>

#include "absl/status/status.h"
#include "tests/testing/pebble.h"

namespace certcast::testing {

// `hook`: what EXEC_PATH is; `mode`: what EXEC_MODE is. Errors have what the client said.
absl::Status RunLego(const Pebble& pebble, const std::string& folder, const std::string& hook,
                     const std::string& mode = "");
// As the manual hooks: `hook present` and `hook cleanup`.
absl::Status RunCertbot(const Pebble& pebble, const std::string& folder, const std::string& hook);
// As HOOK. Its configuration is `folder`/config.
absl::Status RunDehydrated(const Pebble& pebble, const std::string& folder, const std::string& hook);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_OTHER_CLIENTS_H_
