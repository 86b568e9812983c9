#include "common/probe/http_get.h"

#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxHead = 16 * 1024;
constexpr size_t kShown = 64;

absl::Status NotHttp(absl::string_view got) {
  return Fail(Reason::PROTOCOL,
              absl::StrCat("the answer is not HTTP/1: \"", absl::CHexEscape(got.substr(0, kShown)), "\""),
              "does another protocol use this port, or is it TLS where plain HTTP was asked?");
}

bool IsToken(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return !text.empty();
}

// "HTTP/1.1 200 OK", without its line end; the reason phrase may be missing (RFC 9112 section 4).
std::optional<int> ParseStatusLine(absl::string_view line) {
  if (!absl::ConsumePrefix(&line, "HTTP/1.") || line.size() < 5 || line[1] != ' ') return std::nullopt;
  if (!absl::ascii_isdigit(static_cast<unsigned char>(line[0]))) return std::nullopt;
  line.remove_prefix(2);
  if (line.size() > 3 && line[3] != ' ') return std::nullopt;
  int status = 0;
  for (const char c : line.substr(0, 3)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    status = 10 * status + (c - '0');
  }
  if (status < 100) return std::nullopt;
  return status;
}

// Reads a line at a time, and no more than kMaxHead in all.
class LineReader {
 public:
  explicit LineReader(Stream& stream) : stream_(stream) {}

  absl::StatusOr<std::string> Next() {
    size_t end;
    while ((end = bytes_.find('\n', start_)) == std::string::npos) {
      const absl::string_view begun = absl::string_view(bytes_).substr(start_);
      if (bytes_.size() > kMaxHead) return NotHttp(begun);
      ASSIGN_OR_RETURN(const std::string more, stream_.Read());
      if (more.empty() && begun.empty()) return Fail(Reason::LINK_LOST, "the connection was closed before an answer");
      if (more.empty()) return NotHttp(begun);
      bytes_ += more;
    }
    std::string line = bytes_.substr(start_, end - start_);
    start_ = end + 1;
    if (absl::EndsWith(line, "\r")) line.pop_back();
    return line;
  }

 private:
  Stream& stream_;
  std::string bytes_;
  size_t start_ = 0;
};

}  // namespace

absl::StatusOr<int> HttpGetStatus(Stream& stream, absl::string_view host, absl::string_view path) {
  if (!IsToken(host) || !IsToken(path)) return FailInput("a host or path to GET has white space in it");
  RETURN_IF_ERROR(stream.Write(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", host,
                                            "\r\nUser-Agent: certcast\r\nAccept: */*\r\nConnection: close\r\n\r\n")));
  LineReader lines(stream);
  while (true) {
    ASSIGN_OR_RETURN(const std::string line, lines.Next());
    const std::optional<int> status = ParseStatusLine(line);
    if (!status.has_value()) return NotHttp(line);
    if (*status >= 200) return *status;
    // An interim answer ends, as any, with an empty line.
    for (std::string header = "-"; !header.empty();) {
      ASSIGN_OR_RETURN(header, lines.Next());
    }
  }
}

}  // namespace certcast
