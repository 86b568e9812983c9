// Streams whose other end says what the test says.
#ifndef CERTCAST_TESTS_TESTING_SCRIPTED_STREAM_H_
#define CERTCAST_TESTS_TESTING_SCRIPTED_STREAM_H_

#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/probe/stream.h"
#include "common/status/status.h"

namespace certcast::testing {

// Answers with these pieces, one a Read, then ends, or with `hangs` lets time run out.
class ScriptedStream final : public Stream {
 public:
  explicit ScriptedStream(std::deque<std::string> pieces, bool hangs = false)
      : pieces_(std::move(pieces)), hangs_(hangs) {}

  absl::Status Write(absl::string_view bytes) override {
    absl::StrAppend(&written_, bytes);
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Read() override {
    if (pieces_.empty() && hangs_) return Fail(Reason::TIMED_OUT, "peer:1: timed out while waiting for an answer");
    if (pieces_.empty()) return std::string();
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    return piece;
  }

  const std::string& written() const { return written_; }

 private:
  std::deque<std::string> pieces_;
  const bool hangs_;
  std::string written_;
};

// Says `first`, then `more` until nobody reads any longer.
class EndlessStream final : public Stream {
 public:
  EndlessStream(std::string first, std::string more) : next_(std::move(first)), more_(std::move(more)) {}

  absl::Status Write(absl::string_view) override { return absl::OkStatus(); }
  absl::StatusOr<std::string> Read() override {
    read_ += next_.size();
    // Let a reader that never stops fail the test rather than fill the memory.
    return read_ > (1 << 20) ? std::string() : std::exchange(next_, more_);
  }

  size_t read() const { return read_; }

 private:
  std::string next_;
  const std::string more_;
  size_t read_ = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SCRIPTED_STREAM_H_
