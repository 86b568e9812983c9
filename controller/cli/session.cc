#include "controller/cli/session.h"

#include <string>

#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "google/protobuf/util/json_util.h"

namespace certcast::controller::cli {

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  v1::Failure failure;
  if (!status.error_details().empty() && failure.ParseFromString(status.error_details())) {
    absl::Status described = StatusOf(failure);
    // The code decides about the exit code; the failure has none.
    absl::Status result(static_cast<absl::StatusCode>(status.error_code()), described.message());
    described.ForEachPayload(
        [&](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
    return result;
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

int ReportError(std::ostream& err, const absl::Status& status) {
  const v1::Failure failure = FailureOf(status);
  // Configuration errors are several lines, each with its place.
  for (absl::string_view line : absl::StrSplit(status.message(), '\n', absl::SkipEmpty())) {
    err << "certcast: " << line << "\n";
  }
  for (absl::string_view line : absl::StrSplit(failure.stderr(), '\n', absl::SkipEmpty()))
    err << "  | " << line << "\n";
  if (!failure.hint().empty()) err << "  hint: " << failure.hint() << "\n";
  return status.code() == absl::StatusCode::kInvalidArgument ? kUsage : kFailed;
}

void PrintWarnings(std::ostream& err, const google::protobuf::RepeatedPtrField<std::string>& warnings) {
  for (const std::string& warning : warnings) err << "warning: " << warning << "\n";
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  // Can't fail for a message of a generated type.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

}  // namespace certcast::controller::cli
