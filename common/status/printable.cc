#include "common/status/printable.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace certcast {
namespace {

constexpr size_t kMaxOutput = 4096;
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

}  // namespace

std::string PrintableLine(absl::string_view text, size_t limit) {
  std::string line = Printable(text, /*keep_line_ends=*/false);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return CutEnd(std::move(line), limit);
}

std::string PrintableOutput(absl::string_view text) {
  return CutStart(Printable(text, /*keep_line_ends=*/true), kMaxOutput);
}

}  // namespace certcast
