#include "common/status/status.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace certcast {
namespace {

constexpr absl::string_view kFailureUrl = "type.googleapis.com/certcast.v1.Failure";
constexpr size_t kMaxLine = 1024;
constexpr size_t kMaxStderr = 4096;
constexpr absl::string_view kEllipsis = "...";

bool IsContinuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

// Bytes of the well-formed UTF-8 sequence (RFC 3629 section 4) at the start of `text`; 0 when there is none.
size_t SequenceLength(absl::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (at(0) < 0x80) return 1;
  const size_t length = at(0) < 0xc2 ? 0 : at(0) < 0xe0 ? 2 : at(0) < 0xf0 ? 3 : at(0) < 0xf5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  // Overlong forms, surrogates, beyond U+10FFFF.
  if ((at(0) == 0xe0 && at(1) < 0xa0) || (at(0) == 0xed && at(1) > 0x9f)) return 0;
  if ((at(0) == 0xf0 && at(1) < 0x90) || (at(0) == 0xf4 && at(1) > 0x8f)) return 0;
  return length;
}

// U+0000 to U+001F, U+007F to U+009F.
bool IsControl(absl::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0;
}

// `text` with control characters replaced by a space (a run of them by one) and malformed bytes by "?".
std::string Printable(absl::string_view text, bool keep_line_ends) {
  std::string result;
  result.reserve(text.size());
  bool after_control = false;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const absl::string_view sequence = text.substr(0, length == 0 ? 1 : length);
    text.remove_prefix(sequence.size());
    if (length == 0) {
      result += '?';
      after_control = false;
    } else if (keep_line_ends && sequence == "\n") {
      result += '\n';
      after_control = false;
    } else if (IsControl(sequence)) {
      if (!after_control) result += ' ';
      after_control = true;
    } else {
      absl::StrAppend(&result, sequence);
      after_control = false;
    }
  }
  return result;
}

// At most `limit` bytes of valid UTF-8, cut between characters.
std::string CutEnd(std::string text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t size = limit - kEllipsis.size();
  while (size > 0 && IsContinuation(text[size])) --size;
  text.resize(size);
  absl::StrAppend(&text, kEllipsis);
  return text;
}

std::string CutStart(std::string text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t start = text.size() - (limit - kEllipsis.size());
  while (start < text.size() && IsContinuation(text[start])) ++start;
  return absl::StrCat(kEllipsis, text.substr(start));
}

std::string Line(absl::string_view text, size_t limit = kMaxLine) {
  std::string line = Printable(text, /*keep_line_ends=*/false);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return CutEnd(std::move(line), limit);
}

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
  failure.set_detail(Line(failure.detail()));
  // A peer may give no text.
  if (failure.detail().empty()) {
    failure.set_detail(failure.reason() == Reason::REASON_UNSPECIFIED ? absl::StatusCodeToString(code)
                                                                      : std::string(ReasonName(failure.reason())));
  }
  failure.set_step(Line(failure.step()));
  failure.set_hint(Line(failure.hint()));
  failure.set_stderr(CutStart(Printable(failure.stderr(), /*keep_line_ends=*/true), kMaxStderr));
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
  failure.set_detail(absl::StrCat(Line(failure.detail(), kMaxFirst),
                                  " (and while cleaning up: ", Line(FailureOf(cleanup).detail(), kMaxCleanup), ")"));
  return Build(first.code(), std::move(failure));
}

v1::Failure FailureOf(const absl::Status& status) {
  v1::Failure failure;
  if (status.ok()) return failure;
  const auto payload = status.GetPayload(kFailureUrl);
  if (payload && failure.ParseFromString(std::string(*payload))) return failure;
  failure.Clear();
  failure.set_detail(
      Line(status.message().empty() ? absl::StatusCodeToString(status.code()) : std::string(status.message())));
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
