#include "node/engine/refusal.h"

#include "common/status/status.h"

namespace certcast::node {

v1::Report Refuse(const v1::Command& command, const absl::Status& why) {
  v1::Report report;
  report.set_command_id(command.id());
  *report.mutable_refusal()->mutable_failure() = FailureOf(why);
  return report;
}

}  // namespace certcast::node
