// A ByteChannel whose other end says what the test says.
#ifndef CERTCAST_TESTS_TESTING_SCRIPTED_CHANNEL_H_
#define CERTCAST_TESTS_TESTING_SCRIPTED_CHANNEL_H_

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/transport/ssh/byte_channel.h"

namespace certcast::testing {

// Answers with these pieces, one a Read, then ends; with kHang in front of a piece, time runs out once before it.
class ScriptedChannel final : public controller::ByteChannel {
 public:
  static constexpr char kHang[] = "\x01hang";

  explicit ScriptedChannel(std::deque<std::string> pieces) : pieces_(std::move(pieces)) {}

  absl::Status Write(absl::string_view bytes, Deadline) override {
    if (!write_error_.ok()) return write_error_;
    absl::StrAppend(&written_, bytes);
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Read(Deadline) override {
    if (pieces_.empty()) return std::string();
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    if (piece == kHang) return Fail(Reason::TIMED_OUT, "peer: timed out while waiting for an answer");
    return piece;
  }
  std::optional<int> AwaitExit(Deadline) override { return exit_; }
  const std::string& error_output() const override { return error_output_; }
  const std::string& peer() const override { return peer_; }

  void Add(std::string piece) { pieces_.push_back(std::move(piece)); }
  void SetExit(int code, std::string error_output) {
    exit_ = code;
    error_output_ = std::move(error_output);
  }
  void SetWriteError(absl::Status status) { write_error_ = std::move(status); }
  const std::string& written() const { return written_; }

 private:
  const std::string peer_ = "peer";
  std::deque<std::string> pieces_;
  std::optional<int> exit_;
  std::string error_output_;
  std::string written_;
  absl::Status write_error_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SCRIPTED_CHANNEL_H_
