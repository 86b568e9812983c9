#include "tests/fuzz/target.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::fuzz {
namespace {

constexpr size_t kRun = 16;
// Of common/status: detail, hint and step are 1 KiB each; a configuration's errors are 21 lines.
constexpr size_t kMaxText = size_t{64} * 1024;

bool IsText(absl::string_view text) {
  size_t continuation = 0;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (continuation > 0) {
      if ((byte & 0xc0) != 0x80) return false;
      --continuation;
    } else if (byte >= 0x80) {
      continuation = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
      if (byte < 0xc2 || byte > 0xf4) return false;
    } else if ((byte < 0x20 && byte != '\n') || byte == 0x7f) {
      return false;
    }
  }
  return continuation == 0;
}

using RunHashes = absl::flat_hash_set<uint64_t>;

// Calls `see` with the hash of each 16 bytes. Hashes, since libFuzzer puts into inputs what it sees being compared, and
// would soon have written an error's own text into the secret.
template <typename See>
void ForEachRun(absl::string_view text, const See& see) {
  constexpr uint64_t kBase = 0x100000001b3;
  uint64_t leaving = 1;
  for (size_t i = 1; i < kRun; ++i) leaving *= kBase;
  uint64_t hash = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    hash = hash * kBase + static_cast<uint8_t>(text[i]);
    if (i + 1 < kRun) continue;
    see(hash, text.substr(i + 1 - kRun, kRun));
    hash -= leaving * static_cast<uint8_t>(text[i + 1 - kRun]);
  }
}

}  // namespace

void RequireOrderly(const absl::Status& status) {
  if (const unsigned long left = ERR_peek_error(); left != 0) {
    Require(false, absl::StrCat("no OpenSSL error stays in the queue: ", ERR_error_string(left, nullptr)));
  }
  if (status.ok()) return;
  Require(!status.message().empty(), "an error says something");
  Require(status.message().size() <= kMaxText, "an error's text is bounded");
  Require(IsText(status.message()), "an error is printable");
  const v1::Failure failure = FailureOf(status);
  Require(IsText(failure.detail()) && IsText(failure.hint()), "a failure is printable");
}

void RequireHidden(const absl::Status& status, absl::string_view secret, absl::string_view known) {
  if (status.ok()) return;
  const v1::Failure failure = FailureOf(status);
  const std::string said = absl::StrCat(status.message(), "\n", failure.hint());
  RunHashes of_said;
  ForEachRun(said, [&](uint64_t hash, absl::string_view run) {
    if (std::any_of(run.begin(), run.end(), [](char c) { return absl::ascii_islower(c); })) of_said.insert(hash);
  });
  RunHashes quoted;
  ForEachRun(secret, [&](uint64_t hash, absl::string_view) {
    if (of_said.contains(hash)) quoted.insert(hash);
  });
  if (quoted.empty()) return;
  ForEachRun(known, [&](uint64_t hash, absl::string_view) { quoted.erase(hash); });
  Require(quoted.empty(), absl::StrCat("an error does not quote a secret: ", said));
}

unsigned InputReader::Byte() {
  if (rest_.empty()) return 0;
  const auto byte = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return byte;
}

unsigned InputReader::Word() {
  const unsigned low = Byte();
  return low | Byte() << 8;
}

absl::string_view InputReader::Piece() {
  const size_t size = Word();
  const absl::string_view piece = rest_.substr(0, size);
  rest_.remove_prefix(piece.size());
  return piece;
}

std::string PieceOf(absl::string_view bytes) {
  const size_t size = std::min<size_t>(bytes.size(), 0xffff);
  return absl::StrCat(std::string{static_cast<char>(size & 0xff), static_cast<char>(size >> 8)}, bytes.substr(0, size));
}

std::deque<std::string> InPieces(absl::string_view text, size_t size) {
  std::deque<std::string> pieces;
  for (; !text.empty(); text.remove_prefix(std::min(size, text.size()))) pieces.emplace_back(text.substr(0, size));
  return pieces;
}

}  // namespace certcast::fuzz
