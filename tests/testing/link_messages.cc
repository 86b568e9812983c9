#include "tests/testing/link_messages.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>

#include "absl/strings/strip.h"
#include "common/link/preface.h"

namespace certcast::testing {
namespace {

v1::Command CommandOf(const std::string& id) {
  v1::Command command;
  command.set_id(id);
  command.set_epoch(1);
  return command;
}

}  // namespace

v1::Command InstallCommand(const std::string& id, const v1::Bundle& bundle, absl::Duration confirm_timeout) {
  v1::Command command = CommandOf(id);
  *command.mutable_install()->mutable_bundle() = bundle;
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(absl::ToInt64Seconds(confirm_timeout));
  return command;
}

v1::Command ConfirmCommand(const std::string& id, const std::string& certificate, uint64_t generation,
                           const std::string& leaf_sha256) {
  v1::Command command = CommandOf(id);
  command.mutable_confirm()->set_certificate(certificate);
  command.mutable_confirm()->set_generation(generation);
  command.mutable_confirm()->set_leaf_sha256(leaf_sha256);
  return command;
}

v1::Command RevertCommand(const std::string& id, const std::string& certificate, uint64_t generation) {
  v1::Command command = CommandOf(id);
  command.mutable_revert()->set_certificate(certificate);
  command.mutable_revert()->set_generation(generation);
  return command;
}

std::string Delimited(const std::vector<v1::Command>& commands) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  for (const v1::Command& command : commands) {
    google::protobuf::util::SerializeDelimitedToZeroCopyStream(command, &stream);
  }
  return bytes;
}

std::vector<v1::Report> ParseReports(absl::string_view bytes) {
  absl::ConsumePrefix(&bytes, kLinkPreface);
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  std::vector<v1::Report> reports;
  v1::Report report;
  bool clean_end = false;
  while (google::protobuf::util::ParseDelimitedFromZeroCopyStream(&report, &stream, &clean_end)) {
    reports.push_back(report);
    report.Clear();
  }
  return reports;
}

}  // namespace certcast::testing
