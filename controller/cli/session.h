// What every verb of the command line gets, and how it ends.
#ifndef CERTCAST_CONTROLLER_CLI_SESSION_H_
#define CERTCAST_CONTROLLER_CLI_SESSION_H_

#include <functional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "certcast/v1/api.grpc.pb.h"
#include "controller/cli/interrupt.h"
#include "google/protobuf/message.h"
#include "google/protobuf/repeated_field.h"

namespace certcast::controller::cli {

// What the program exits with; scripts rely on it.
enum ExitCode {
  kDone = 0,  // or nothing to do
  kFailed = 1,
  kUsage = 2,           // or wrong configuration
  kNotConverged = 3,    // finished, but not every node has it
  kHalted = 4,          // stopped by the failure budget
  kChangesPending = 5,  // --dry-run found something to do
};

struct GlobalOptions {
  // Empty: $CERTCAST_CONFIG, else /etc/certcast/certcast.yaml.
  std::string config;
  // `table` or `json`.
  std::string output = "table";
  // The transcript of what is said to CAs; empty: none.
  std::string trace;

  bool json() const { return output == "json"; }
};

// stdout is the result, stderr the progress and the errors.
struct Session {
  const GlobalOptions& options;
  Interrupt& interrupt;
  v1::Controller::StubInterface& controller;
  std::ostream& out;
  std::ostream& err;
  // Whether err is a terminal that understands redrawing, and colours are welcome there.
  bool terminal = false;
  bool colour = false;
  // Whether out is one too.
  bool screen = false;
  // Of err's terminal, now.
  std::function<int()> columns = [] { return 80; };
};

using Verb = std::function<int(Session&)>;

// The error of a call, with its Failure where the API gave one.
absl::Status FromGrpc(const grpc::Status& status);

// Prints `certcast: ...`, the failing command's stderr and the hint; returns the exit code for it.
int ReportError(std::ostream& err, const absl::Status& status);

// A line each: `warning: ...`.
void PrintWarnings(std::ostream& err, const google::protobuf::RepeatedPtrField<std::string>& warnings);

// One JSON document: the protobuf JSON mapping, with zero, false and empty fields.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_SESSION_H_
