#include "controller/acme/trace.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status/printable.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"

namespace certcast::controller {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxShown = size_t{64} * 1024;
constexpr char kRedacted[] = "REDACTED";

// Headers in which nobody puts a login.
constexpr absl::string_view kShownHeaders[] = {"content-type", "accept", "location", "link",          "retry-after",
                                               "replay-nonce", "date",   "server",   "content-length"};

bool IsShown(absl::string_view name) {
  return std::any_of(std::begin(kShownHeaders), std::end(kShownHeaders),
                     [&](absl::string_view shown) { return absl::EqualsIgnoreCase(shown, name); });
}

// Text of somebody else's, as it may be written to a terminal.
std::string Plain(absl::string_view text) {
  std::string plain(text.substr(0, kMaxShown));
  for (char& c : plain) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\n' && c != '\t') c = '?';
  }
  if (text.size() > kMaxShown) absl::StrAppend(&plain, "\n(", text.size() - kMaxShown, " bytes more)");
  return plain;
}

std::string WithoutLogin(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const size_t host = scheme + 3;
  const size_t end = std::min(url.find_first_of("/?#", host), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  if (at == std::string::npos || at < host) return url;
  return absl::StrCat(url.substr(0, host), kRedacted, url.substr(at));
}

ordered_json Decoded(const ordered_json& encoded) {
  if (!encoded.is_string()) return nullptr;
  const auto bytes = Base64UrlDecode(encoded.get<std::string>());
  if (!bytes.ok() || bytes->empty()) return "";
  ordered_json parsed = ordered_json::parse(*bytes, nullptr, /*allow_exceptions=*/false);
  return parsed.is_discarded() ? ordered_json("?") : parsed;
}

bool IsJws(const ordered_json& body) {
  return body.is_object() && body.contains("protected") && body.contains("payload") && body.contains("signature");
}

// The same with header and payload decoded and without its signature, and what is in the payload likewise.
ordered_json Opened(const ordered_json& jws) {
  ordered_json opened = {{"protected", Decoded(jws["protected"])}, {"payload", Decoded(jws["payload"])}};
  opened["signature"] = kRedacted;
  ordered_json& payload = opened["payload"];
  if (!payload.is_object()) return opened;
  for (auto& [key, value] : payload.items()) {
    if (IsJws(value)) value = Opened(value);
  }
  // keyChange's payload is a JWS itself.
  if (IsJws(payload)) payload = Opened(payload);
  return opened;
}

std::string Dump(const ordered_json& json) {
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

void AppendHeaders(const std::vector<std::pair<std::string, std::string>>& headers, std::string& text) {
  for (const auto& [name, value] : headers) {
    if (IsShown(name)) absl::StrAppend(&text, "    ", name, ": ", Plain(value), "\n");
  }
}

void AppendBody(absl::string_view body, std::string& text) {
  if (body.empty()) return;
  const std::string plain = Plain(body);
  absl::StrAppend(&text, "    ", absl::StrReplaceAll(absl::StripTrailingAsciiWhitespace(plain), {{"\n", "\n    "}}),
                  "\n");
}

}  // namespace

std::string DescribeExchange(const HttpRequest& request, const absl::StatusOr<HttpResponse>& response, absl::Time at,
                             absl::Duration took) {
  std::string text = absl::StrCat("=== ", absl::FormatTime(absl::RFC3339_sec, at, absl::UTCTimeZone()), " ",
                                  request.method, " ", PrintableLine(WithoutLogin(request.url)), "\n");
  AppendHeaders(request.headers, text);
  const ordered_json body = ordered_json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  const bool is_acme = request.body.empty() || IsJws(body);
  if (IsJws(body)) {
    AppendBody(Dump(Opened(body)), text);
  } else if (!request.body.empty()) {
    absl::StrAppend(&text, "    (", request.body.size(), " bytes, not shown)\n");
  }
  const std::string duration = absl::FormatDuration(absl::Trunc(took, absl::Milliseconds(1)));
  if (!response.ok()) {
    return absl::StrCat(text, "--- no answer after ", duration, ": ", Plain(response.status().message()), "\n\n");
  }
  absl::StrAppend(&text, "--- ", response->status, " after ", duration, "\n");
  AppendHeaders(response->headers, text);
  if (is_acme) {
    AppendBody(response->body, text);
  } else if (!response->body.empty()) {
    absl::StrAppend(&text, "    (", response->body.size(), " bytes, not shown)\n");
  }
  return absl::StrCat(text, "\n");
}

absl::StatusOr<std::unique_ptr<TracingHttpClient>> TracingHttpClient::Open(const std::string& path,
                                                                           std::unique_ptr<HttpClient> http,
                                                                           Clock& clock) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600));
  if (!file.valid()) {
    const absl::Status failed = FailErrno(errno, absl::StrCat("opening ", path));
    return FailInput(failed.message(), "--trace FILE must be a file that can be written");
  }
  struct stat found = {};
  if (fstat(file.get(), &found) != 0) return FailErrno(errno, absl::StrCat("looking at ", path));
  if (S_ISREG(found.st_mode) && (found.st_mode & 077) != 0) {
    return Fail(Reason::PERMISSION_DENIED, absl::StrCat(path, " is open to others than its owner"),
                absl::StrCat("chmod 600 ", path, ", or name another file"));
  }
  return std::unique_ptr<TracingHttpClient>(new TracingHttpClient(path, std::move(file), std::move(http), clock));
}

absl::StatusOr<HttpResponse> TracingHttpClient::Perform(const HttpRequest& request) {
  const absl::Time at = clock_.Now();
  const absl::Duration begin = clock_.Monotonic();
  absl::StatusOr<HttpResponse> response = http_->Perform(request);
  Write(DescribeExchange(request, response, at, clock_.Monotonic() - begin));
  return response;
}

absl::Status TracingHttpClient::written() const {
  const absl::MutexLock lock(&mutex_);
  return written_;
}

void TracingHttpClient::Write(absl::string_view text) {
  const absl::MutexLock lock(&mutex_);
  while (!text.empty() && written_.ok()) {
    const ssize_t written = ::write(file_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      written_ = FailErrno(written < 0 ? errno : ENOSPC, absl::StrCat("writing ", path_));
      return;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace certcast::controller
