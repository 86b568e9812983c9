// Commands as a controller sends them, and both messages as they go over a pipe.
#ifndef CERTCAST_TESTS_TESTING_LINK_MESSAGES_H_
#define CERTCAST_TESTS_TESTING_LINK_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"

namespace certcast::testing {

// Of epoch 1.
v1::Command InstallCommand(const std::string& id, const v1::Bundle& bundle, absl::Duration confirm_timeout);
v1::Command ConfirmCommand(const std::string& id, const std::string& certificate, uint64_t generation,
                           const std::string& leaf_sha256);
v1::Command RevertCommand(const std::string& id, const std::string& certificate, uint64_t generation);

// Each with its length before it, as `certcast-node stdio` reads them.
std::string Delimited(const std::vector<v1::Command>& commands);
// What it wrote, up to the first that is not whole.
std::vector<v1::Report> ParseReports(absl::string_view bytes);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_LINK_MESSAGES_H_
