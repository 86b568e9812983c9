// Errors as operators read them: an absl::Status that carries a stable reason, a step and a hint beside its text.
//
// An error is built once, where the cause is known (errno, an OpenSSL code, an HTTP answer), with the path or name it
// is about. Callers add what they know on the way up. Texts never hold a secret.
//
// Every text is valid UTF-8 without control characters (a peer can't write to an operator's terminal) and bounded:
// detail (never empty: else the reason's name) and hint are one line of at most 1 KiB, stderr is the last 4 KiB with
// its line ends.
//
// Thread-safe: nothing here has state.
#ifndef CERTCAST_COMMON_STATUS_STATUS_H_
#define CERTCAST_COMMON_STATUS_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/v1/outcome.pb.h"

namespace certcast {

using Reason = v1::Reason;

// A failed status: `detail` says what happened and to what, `hint` what to do about it. Its code follows from the
// reason; it is never kInvalidArgument, kNotFound or kAlreadyExists, which have a meaning of their own below.
absl::Status Fail(Reason::Code reason, absl::string_view detail, absl::string_view hint = "");

// The same for wrong input (flags, configuration): code kInvalidArgument, exit code 2.
absl::Status FailInput(absl::string_view detail, absl::string_view hint = "");

// From errno as a system call left it: picks NO_SPACE, PERMISSION_DENIED or STORAGE_FAILED. `doing` names call and
// path: "writing /etc/x". ENOENT has code kNotFound, EEXIST kAlreadyExists, what may pass by itself (EMFILE, ENFILE,
// ENOMEM) kUnavailable. Without a hint, the usual ones get the usual one.
absl::Status FailErrno(int error, absl::string_view doing, absl::string_view hint = "");

// `status` with `context` and ": " before its text. OK stays OK. Reason, step, hint and stderr are kept.
absl::Status Annotate(absl::Status status, absl::string_view context);

// `status` with its step, hint or the end of a command's stderr set, unless one is set already. OK stays OK.
absl::Status WithStep(absl::Status status, absl::string_view step);
absl::Status WithHint(absl::Status status, absl::string_view hint);
absl::Status WithStderr(absl::Status status, absl::string_view text);
// Replaces the reason; the code stays.
absl::Status WithReason(absl::Status status, Reason::Code reason);

// The first error, with the text of what failed while cleaning up after it. OK only when both are.
absl::Status KeepFirst(absl::Status first, absl::Status cleanup);

// What an operator reads. For any failed status, also one not made here (its reason is then unspecified).
v1::Failure FailureOf(const absl::Status& status);
absl::Status StatusOf(const v1::Failure& failure);
// The same with a code of one's own, which must not be kOk: for failures that came with a gRPC status.
absl::Status StatusOf(const v1::Failure& failure, absl::StatusCode code);
// REASON_UNSPECIFIED also for OK.
Reason::Code ReasonOf(const absl::Status& status);
// As in the proto: "NO_SPACE".
absl::string_view ReasonName(Reason::Code reason);

}  // namespace certcast

#define CERTCAST_STATUS_CONCAT_(a, b) a##b
#define CERTCAST_STATUS_NAME_(a, b) CERTCAST_STATUS_CONCAT_(a, b)

// Returns from the enclosing function when the expression's status is not OK.
#define RETURN_IF_ERROR(expression)                                                                 \
  do {                                                                                              \
    if (absl::Status certcast_status = (expression); !certcast_status.ok()) return certcast_status; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, StatusOrX());
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_(CERTCAST_STATUS_NAME_(certcast_status_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_(name, target, expression) \
  auto name = (expression);                         \
  if (!name.ok()) return std::move(name).status();  \
  target = *std::move(name)

#endif  // CERTCAST_COMMON_STATUS_STATUS_H_
