#include "common/probe/http_get.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxHead = size_t{16} * 1024;
constexpr size_t kMaxBody = size_t{64} * 1024;
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

// The bytes of one answer: of lines no more than kMaxHead in all.
class AnswerReader {
 public:
  explicit AnswerReader(Stream& stream) : stream_(stream) {}

  absl::StatusOr<std::string> Line() {
    size_t end;
    while ((end = bytes_.find('\n')) == std::string::npos) {
      if (lines_ + bytes_.size() > kMaxHead) return NotHttp(bytes_);
      ASSIGN_OR_RETURN(const bool has_more, More());
      if (has_more) continue;
      if (bytes_.empty()) return Fail(Reason::LINK_LOST, "the connection was closed before the end of the answer");
      return NotHttp(bytes_);
    }
    std::string line = bytes_.substr(0, end);
    bytes_.erase(0, end + 1);
    lines_ += end + 1;
    if (lines_ > kMaxHead) return NotHttp(line);
    if (absl::EndsWith(line, "\r")) line.pop_back();
    return line;
  }

  // Adds so many bytes to `body`, or as many as it may have.
  absl::Status Append(uint64_t size, std::string& body) {
    while (size > 0 && body.size() < kMaxBody) {
      if (bytes_.empty()) {
        ASSIGN_OR_RETURN(const bool has_more, More());
        if (!has_more) return Fail(Reason::LINK_LOST, "the connection was closed in the middle of the body");
      }
      const size_t taken = std::min<uint64_t>({size, bytes_.size(), kMaxBody - body.size()});
      body.append(bytes_, 0, taken);
      bytes_.erase(0, taken);
      size -= taken;
    }
    return absl::OkStatus();
  }

  // All that comes until the peer ends the stream. Many do so without TLS's closing alert.
  absl::Status AppendAll(std::string& body) {
    while (body.size() < kMaxBody) {
      if (bytes_.empty()) {
        const absl::StatusOr<bool> has_more = More();
        if (!has_more.ok() && ReasonOf(has_more.status()) != Reason::LINK_LOST) return has_more.status();
        if (!has_more.ok() || !*has_more) return absl::OkStatus();
      }
      body.append(bytes_, 0, kMaxBody - body.size());
      bytes_.clear();
    }
    return absl::OkStatus();
  }

 private:
  // False when the peer has ended the stream.
  absl::StatusOr<bool> More() {
    ASSIGN_OR_RETURN(const std::string more, stream_.Read());
    bytes_ += more;
    return !more.empty();
  }

  Stream& stream_;
  // Came, not taken yet.
  std::string bytes_;
  size_t lines_ = 0;
};

// RFC 9110 section 15.4: those that name the one place where to look instead.
bool IsRedirect(int status) {
  constexpr std::array kRedirects = {301, 302, 303, 307, 308};
  return std::find(kRedirects.begin(), kRedirects.end(), status) != kRedirects.end();
}

struct Headers {
  // How a body's end is found (RFC 9112 section 6.3).
  bool is_chunked = false;
  std::optional<uint64_t> length;
  std::optional<std::string> location;
};

// To the empty line that ends them.
absl::StatusOr<Headers> ReadHeaders(AnswerReader& reader) {
  Headers headers;
  while (true) {
    ASSIGN_OR_RETURN(const std::string line, reader.Line());
    if (line.empty()) return headers;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) return NotHttp(line);
    const absl::string_view name = absl::string_view(line).substr(0, colon);
    const absl::string_view value = absl::StripAsciiWhitespace(absl::string_view(line).substr(colon + 1));
    uint64_t length = 0;
    if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
      headers.is_chunked = absl::EndsWithIgnoreCase(value, "chunked");
    } else if (absl::EqualsIgnoreCase(name, "Content-Length")) {
      if (!absl::SimpleAtoi(value, &length)) return NotHttp(line);
      headers.length = length;
    } else if (absl::EqualsIgnoreCase(name, "Location") && !headers.location.has_value()) {
      headers.location = std::string(value);
    }
  }
}

absl::Status ReadChunks(AnswerReader& reader, std::string& body) {
  while (body.size() < kMaxBody) {
    ASSIGN_OR_RETURN(const std::string line, reader.Line());
    // Extensions after the size mean nothing to us (RFC 9112 section 7.1.1).
    const absl::string_view digits = absl::StripAsciiWhitespace(absl::string_view(line).substr(0, line.find(';')));
    uint64_t size = 0;
    if (!absl::SimpleHexAtoi(digits, &size)) return NotHttp(line);
    if (size == 0) return absl::OkStatus();
    RETURN_IF_ERROR(reader.Append(size, body));
    if (body.size() >= kMaxBody) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string end, reader.Line());
    if (!end.empty()) return NotHttp(end);
  }
  return absl::OkStatus();
}

absl::Status ReadHeadersAndBody(AnswerReader& reader, HttpAnswer& answer) {
  ASSIGN_OR_RETURN(const Headers headers, ReadHeaders(reader));
  if (IsRedirect(answer.status)) answer.location = headers.location.value_or("");
  constexpr int kNoContent = 204;
  constexpr int kNotModified = 304;
  if (answer.status == kNoContent || answer.status == kNotModified) return absl::OkStatus();
  if (headers.is_chunked) return ReadChunks(reader, answer.body);
  if (headers.length.has_value()) return reader.Append(*headers.length, answer.body);
  return reader.AppendAll(answer.body);
}

}  // namespace

absl::StatusOr<HttpAnswer> HttpGet(Stream& stream, absl::string_view host, absl::string_view path, bool wants_body) {
  if (!IsToken(host) || !IsToken(path)) return FailInput("a host or path to GET has white space in it");
  RETURN_IF_ERROR(stream.Write(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", host,
                                            "\r\nUser-Agent: certcast\r\nAccept: */*\r\nConnection: close\r\n\r\n")));
  AnswerReader reader(stream);
  while (true) {
    ASSIGN_OR_RETURN(const std::string line, reader.Line());
    const std::optional<int> status = ParseStatusLine(line);
    if (!status.has_value()) return NotHttp(line);
    if (*status >= 200) {
      HttpAnswer answer = {.status = *status};
      if (wants_body) RETURN_IF_ERROR(ReadHeadersAndBody(reader, answer));
      return answer;
    }
    // An interim answer ends, as any, with an empty line.
    for (std::string header = "-"; !header.empty();) {
      ASSIGN_OR_RETURN(header, reader.Line());
    }
  }
}

}  // namespace certcast
