// A fuzz target: one kind of input that others write, and what must hold whatever they write.
//
// Each target is a source file that defines the two functions below. It is linked twice: with libFuzzer
// (libfuzzer_main.cc, through tests/fuzz.sh), which makes up inputs, and in every build with corpus_test.cc, which
// tries the seeds, the committed corpus and what is close to them.
#ifndef CERTCAST_TESTS_FUZZ_TARGET_H_
#define CERTCAST_TESTS_FUZZ_TARGET_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast::fuzz {

struct Seed {
  // Of a file: letters, digits, "-".
  std::string name;
  std::string bytes;
};

// Inputs to begin with that can't be written by hand: keys and certificates are others in every run.
std::vector<Seed> Seeds();

// Gives `input` to the code under test, and calls Require for each thing that must hold. Its verdict on an input does
// not depend on the inputs before it.
void TryInput(absl::string_view input);

// Fails the test, or ends the fuzzer, which then keeps the input: `promise` does not hold.
void Require(bool holds, absl::string_view promise);

// An error that an operator can be shown: it has a text, which is bounded, is UTF-8 and has no control characters but
// line ends. OpenSSL's queue is empty, of which a later TLS call would be blamed. Nothing is required of OK but the
// last.
void RequireOrderly(const absl::Status& status);

// No 16 bytes of `secret` are in the error, but those that are in `known` as well (which may have been quoted) and
// those without a lower-case letter (labels of PEM).
void RequireHidden(const absl::Status& status, absl::string_view secret, absl::string_view known = "");

// Takes an input apart. What is missing at its end is zero or empty, so that every input means something.
// Thread-compatible.
class InputReader {
 public:
  explicit InputReader(absl::string_view input) : rest_(input) {}

  bool empty() const { return rest_.empty(); }
  unsigned Byte();
  // Little-endian, of two bytes.
  unsigned Word();
  // Two bytes of length, then as many.
  absl::string_view Piece();
  absl::string_view Rest() const { return rest_; }

 private:
  absl::string_view rest_;
};

// The reverse of InputReader::Piece.
std::string PieceOf(absl::string_view bytes);

// As a network may cut it: pieces of `size` bytes, and what is left.
std::deque<std::string> InPieces(absl::string_view text, size_t size);

}  // namespace certcast::fuzz

#endif  // CERTCAST_TESTS_FUZZ_TARGET_H_
