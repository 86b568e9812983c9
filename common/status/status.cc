#include "common/status/status.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/status/printable.h"

namespace certcast {
namespace {

constexpr absl::string_view kFailureUrl = "type.googleapis.com/certcast.v1.Failure";
absl::StatusCode CodeOf(Reason::Code reason) {
  switch (reason) {
    case Reason::NO_SPACE:
      return absl::StatusCode::kResourceExhausted;
    case Reason::PERMISSION_DENIED:
      return absl::StatusCode::kPermissionDenied;
    case Reason::AUTH_FAILED:
    case Reason::HOST_KEY_UNKNOWN:
    case Reason::HOST_KEY_CHANGED:
    case Reason::SUDO_REFUSED:
      return absl::StatusCode::kUnauthenticated;
    case Reason::NO_ROUTE:
    case Reason::LINK_LOST:
    case Reason::BUSY:
      return absl::StatusCode::kUnavailable;
    case Reason::TIMED_OUT:
      return absl::StatusCode::kDeadlineExceeded;
    case Reason::STORAGE_FAILED:
    case Reason::PROTOCOL:
      return absl::StatusCode::kInternal;
    case Reason::REASON_UNSPECIFIED:
      return absl::StatusCode::kUnknown;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

// The only place that makes a failed status: bounds every text, which may have come over the wire.
absl::Status Build(absl::StatusCode code, v1::Failure failure) {
  failure.set_detail(PrintableLine(failure.detail()));
  // A peer may give no text.
  if (failure.detail().empty()) {
    failure.set_detail(failure.reason() == Reason::REASON_UNSPECIFIED ? absl::StatusCodeToString(code)
                                                                      : std::string(ReasonName(failure.reason())));
  }
  failure.set_step(PrintableLine(failure.step()));
  failure.set_hint(PrintableLine(failure.hint()));
  failure.set_stderr(PrintableOutput(failure.stderr()));
  absl::Status status(code, failure.detail());
  status.SetPayload(kFailureUrl, absl::Cord(failure.SerializeAsString()));
  return status;
}

absl::string_view UsualHint(int error) {
  switch (error) {
    case ENOSPC:
      return "free some space or inodes on that file system";
    case EDQUOT:
      return "the disk quota is used up";
    case EROFS:
      return "that file system is mounted read-only";
    case EXDEV:
      return "a mount begins there: files are replaced by renaming, so a directory must be on one file system";
    case EMFILE:
      return "this process has as many files open as it may: look what holds them, or raise its LimitNOFILE";
    case ENFILE:
      return "the machine has as many files open as it may: look what holds them, or raise fs.file-max";
    case ENOMEM:
      return "free some memory, or raise this process's MemoryMax";
    case EIO:
      return "the disk does not read or write: look at dmesg and smartctl";
    case EACCES:
    case EPERM:
      return "check owner and mode of it and of the directories above it";
    default:
      return "";
  }
}

std::string ErrnoText(int error) {
  const char* text = strerrordesc_np(error);
  return text == nullptr ? absl::StrCat("error ", error) : std::string(text);
}

}  // namespace

absl::Status Fail(Reason::Code reason, absl::string_view detail, absl::string_view hint) {
  v1::Failure failure;
  failure.set_reason(reason);
  failure.set_detail(std::string(detail));
  failure.set_hint(std::string(hint));
  return Build(CodeOf(reason), std::move(failure));
}

absl::Status FailInput(absl::string_view detail, absl::string_view hint) {
  v1::Failure failure;
  failure.set_detail(std::string(detail));
  failure.set_hint(std::string(hint));
  return Build(absl::StatusCode::kInvalidArgument, std::move(failure));
}

absl::Status FailErrno(int error, absl::string_view doing, absl::string_view hint) {
  v1::Failure failure;
  failure.set_detail(absl::StrCat(doing, ": ", ErrnoText(error)));
  failure.set_hint(std::string(hint.empty() ? UsualHint(error) : hint));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      failure.set_reason(Reason::NO_SPACE);
      return Build(CodeOf(Reason::NO_SPACE), std::move(failure));
    case EACCES:
    case EPERM:
    case EROFS:
      failure.set_reason(Reason::PERMISSION_DENIED);
      return Build(CodeOf(Reason::PERMISSION_DENIED), std::move(failure));
    case ENOENT:
      failure.set_reason(Reason::STORAGE_FAILED);
      return Build(absl::StatusCode::kNotFound, std::move(failure));
    case EEXIST:
      failure.set_reason(Reason::STORAGE_FAILED);
      return Build(absl::StatusCode::kAlreadyExists, std::move(failure));
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      failure.set_reason(Reason::STORAGE_FAILED);
      return Build(absl::StatusCode::kUnavailable, std::move(failure));
    default:
      failure.set_reason(Reason::STORAGE_FAILED);
      return Build(CodeOf(Reason::STORAGE_FAILED), std::move(failure));
  }
}

absl::Status Annotate(absl::Status status, absl::string_view context) {
  if (status.ok()) return status;
  v1::Failure failure = FailureOf(status);
  failure.set_detail(absl::StrCat(context, ": ", failure.detail()));
  return Build(status.code(), std::move(failure));
}

absl::Status WithStep(absl::Status status, absl::string_view step) {
  if (status.ok()) return status;
  v1::Failure failure = FailureOf(status);
  if (!failure.step().empty()) return status;
  failure.set_step(std::string(step));
  return Build(status.code(), std::move(failure));
}

absl::Status WithHint(absl::Status status, absl::string_view hint) {
  if (status.ok()) return status;
  v1::Failure failure = FailureOf(status);
  if (!failure.hint().empty()) return status;
  failure.set_hint(std::string(hint));
  return Build(status.code(), std::move(failure));
}

absl::Status WithStderr(absl::Status status, absl::string_view text) {
  if (status.ok()) return status;
  v1::Failure failure = FailureOf(status);
  if (!failure.stderr().empty()) return status;
  failure.set_stderr(std::string(text));
  return Build(status.code(), std::move(failure));
}

absl::Status WithReason(absl::Status status, Reason::Code reason) {
  if (status.ok()) return status;
  v1::Failure failure = FailureOf(status);
  failure.set_reason(reason);
  return Build(status.code(), std::move(failure));
}

absl::Status KeepFirst(absl::Status first, absl::Status cleanup) {
  if (first.ok()) return cleanup;
  if (cleanup.ok()) return first;
  // Both must stay readable, so neither may take all of the line.
  constexpr size_t kMaxFirst = 600;
  constexpr size_t kMaxCleanup = 380;
  v1::Failure failure = FailureOf(first);
  // The same said twice says nothing more.
  if (FailureOf(cleanup).detail() == failure.detail()) return first;
  failure.set_detail(absl::StrCat(PrintableLine(failure.detail(), kMaxFirst), " (and while cleaning up: ",
                                  PrintableLine(FailureOf(cleanup).detail(), kMaxCleanup), ")"));
  return Build(first.code(), std::move(failure));
}

v1::Failure FailureOf(const absl::Status& status) {
  v1::Failure failure;
  if (status.ok()) return failure;
  const auto payload = status.GetPayload(kFailureUrl);
  if (payload && failure.ParseFromString(std::string(*payload))) return failure;
  failure.Clear();
  failure.set_detail(PrintableLine(status.message().empty() ? absl::StatusCodeToString(status.code())
                                                            : std::string(status.message())));
  return failure;
}

absl::Status StatusOf(const v1::Failure& failure) {
  return Build(CodeOf(failure.reason()), failure);
}

absl::Status StatusOf(const v1::Failure& failure, absl::StatusCode code) {
  return Build(code == absl::StatusCode::kOk ? absl::StatusCode::kUnknown : code, failure);
}

Reason::Code ReasonOf(const absl::Status& status) {
  return FailureOf(status).reason();
}

absl::string_view ReasonName(Reason::Code reason) {
  const std::string& name = Reason::Code_Name(reason);
  return name.empty() ? "REASON_UNSPECIFIED" : absl::string_view(name);
}

}  // namespace certcast
