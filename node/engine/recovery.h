// What a start did about what was under way or gone.
#ifndef CERTCAST_NODE_ENGINE_RECOVERY_H_
#define CERTCAST_NODE_ENGINE_RECOVERY_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status/status.h"

namespace certcast::node {

struct Recovery {
  // What was found and what was done, a line for people. Empty: there was nothing.
  std::string line;
  // Why that did not bring things to where they should be, though it has ended: somebody must look at this node.
  absl::Status failed;

  void Add(absl::string_view more, absl::Status why = absl::OkStatus()) {
    if (!more.empty()) absl::StrAppend(&line, line.empty() ? "" : "; ", more);
    failed = KeepFirst(std::move(failed), std::move(why));
  }
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_RECOVERY_H_
