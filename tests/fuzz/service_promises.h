// What holds for a service however it came to a node: by node.yaml, or by a controller's definition of the host.
#ifndef CERTCAST_TESTS_FUZZ_SERVICE_PROMISES_H_
#define CERTCAST_TESTS_FUZZ_SERVICE_PROMISES_H_

#include "absl/strings/string_view.h"
#include "common/service/service.h"

namespace certcast::fuzz {

// Without `..`.
bool IsAbsolute(absl::string_view path);

// `state`: the node's own directory.
void RequireService(const Service& service, absl::string_view state);

}  // namespace certcast::fuzz

#endif  // CERTCAST_TESTS_FUZZ_SERVICE_PROMISES_H_
