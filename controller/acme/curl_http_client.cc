#include "controller/acme/curl_http_client.h"

#include <curl/curl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status.h"
#include "common/x509/key_library.h"

namespace certcast::controller {
namespace {

constexpr long kMaxRedirects = 5;
constexpr size_t kMaxHeaders = 100;
constexpr long kConnectTimeoutMs = 20'000;

struct CurlDeleter {
  void operator()(CURL* p) const { curl_easy_cleanup(p); }
  void operator()(curl_slist* p) const { curl_slist_free_all(p); }
};

// libcurl keeps sockets, to the server and to wake itself, that a program started later would get. Before Linux 5.11
// they stay so; ProcessRunner closes them then.
void CloseAllOnExec() {
#ifdef SYS_close_range
  syscall(SYS_close_range, static_cast<unsigned>(STDERR_FILENO + 1), ~0U, CLOSE_RANGE_CLOEXEC);
#endif
}

// What libcurl hands over while it runs.
struct Receiver {
  HttpResponse response;
  bool too_large = false;
};

size_t ReceiveBody(char* bytes, size_t size, size_t count, void* user) {
  auto* receiver = static_cast<Receiver*>(user);
  if (receiver->response.body.size() + size * count > HttpClient::kMaxBody) {
    receiver->too_large = true;
    return 0;
  }
  receiver->response.body.append(bytes, size * count);
  return size * count;
}

size_t ReceiveHeader(char* bytes, size_t size, size_t count, void* user) {
  auto* receiver = static_cast<Receiver*>(user);
  const absl::string_view line = absl::StripAsciiWhitespace(absl::string_view(bytes, size * count));
  // A redirect or an interim answer came before: only the last one counts.
  if (absl::StartsWith(line, "HTTP/")) receiver->response.headers.clear();
  const size_t colon = line.find(':');
  if (colon != absl::string_view::npos && receiver->response.headers.size() < kMaxHeaders) {
    receiver->response.headers.emplace_back(absl::AsciiStrToLower(line.substr(0, colon)),
                                            std::string(absl::StripAsciiWhitespace(line.substr(colon + 1))));
  }
  return size * count;
}

std::unique_ptr<curl_slist, CurlDeleter> HeaderList(const HttpRequest& request) {
  // No "Expect: 100-continue": it costs a round trip or a second of waiting.
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const auto& [name, value] : request.headers) {
    list = curl_slist_append(list, absl::StrCat(name, ": ", value).c_str());
  }
  return std::unique_ptr<curl_slist, CurlDeleter>(list);
}

absl::Status TransferError(CURLcode code, const HttpRequest& request, absl::string_view text) {
  const std::string what = absl::StrCat(request.method, " ", request.url, ": ", text);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return Fail(Reason::NO_ROUTE, what, "check the URL, name resolution, firewalls and https_proxy");
    case CURLE_OPERATION_TIMEDOUT:
      return Fail(Reason::TIMED_OUT, what, "check firewalls and https_proxy, or try again later");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
      return Fail(Reason::AUTH_FAILED, what,
                  request.ca_file.empty() ? "for a private ACME server set accounts[].ca_file to its root certificate"
                                          : absl::StrCat("the server's certificate must chain to ", request.ca_file,
                                                         " and have the URL's host name"));
    case CURLE_SSL_CACERT_BADFILE:
      return Fail(Reason::AUTH_FAILED, what, absl::StrCat("is ", request.ca_file, " there, readable, and PEM?"));
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return Fail(Reason::LINK_LOST, what);
    case CURLE_URL_MALFORMAT:
      return FailInput(what);
    default:
      return Fail(Reason::PROTOCOL, what);
  }
}

class CurlHttpClient final : public HttpClient {
 public:
  explicit CurlHttpClient(std::string user_agent) : user_agent_(std::move(user_agent)) {
    static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (initialized == CURLE_OK) handle_.reset(curl_easy_init());
  }

  absl::StatusOr<HttpResponse> Perform(const HttpRequest& request) override {
    const absl::MutexLock lock(&mutex_);
    const bool plain = request.plain_http && absl::StartsWithIgnoreCase(request.url, "http://");
    if (!plain && !absl::StartsWithIgnoreCase(request.url, "https://")) {
      return FailInput(absl::StrCat(request.url, " is not an https:// URL"),
                       "ACME is spoken over https:// only (RFC 8555 section 6.1)");
    }
    if (handle_ == nullptr) return Fail(Reason::PROTOCOL, "libcurl could not be initialized");
    // Keeps connections, TLS sessions and their caches.
    curl_easy_reset(handle_.get());
    char error[CURL_ERROR_SIZE] = {};
    Receiver receiver;
    const auto headers = HeaderList(request);
    curl_easy_setopt(handle_.get(), CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(handle_.get(), CURLOPT_HTTPHEADER, headers.get());
    SetTransport(request);
    SetMethod(request);
    curl_easy_setopt(handle_.get(), CURLOPT_WRITEFUNCTION, &ReceiveBody);
    curl_easy_setopt(handle_.get(), CURLOPT_WRITEDATA, &receiver);
    curl_easy_setopt(handle_.get(), CURLOPT_HEADERFUNCTION, &ReceiveHeader);
    curl_easy_setopt(handle_.get(), CURLOPT_HEADERDATA, &receiver);
    const CURLcode code = PerformTransfer();
    CloseAllOnExec();
    if (receiver.too_large) {
      return Fail(Reason::PROTOCOL,
                  absl::StrCat(request.method, " ", request.url, ": the answer is larger than ", kMaxBody, " bytes"));
    }
    if (code != CURLE_OK) return TransferError(code, request, error[0] != 0 ? error : curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    receiver.response.status = static_cast<int>(status);
    return std::move(receiver.response);
  }

 private:
  CURLcode PerformTransfer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // What reading a certificate costs is most of a handshake.
    const UsesKeyLibrary uses;
    return curl_easy_perform(handle_.get());
  }

  void SetTransport(const HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    CURL* const handle = handle_.get();
    curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, request.plain_http ? "http,https" : "https");
    curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!request.ca_file.empty()) {
      curl_easy_setopt(handle, CURLOPT_CAINFO, request.ca_file.c_str());
      curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
    }
    curl_easy_setopt(handle, CURLOPT_USERAGENT, user_agent_.c_str());
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(request.timeout)));
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  }

  void SetMethod(const HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    CURL* const handle = handle_.get();
    if (request.method == "POST") {
      curl_easy_setopt(handle, CURLOPT_POST, 1L);
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      return;
    }
    // A signed request is for one URL alone (RFC 8555 section 6.4), so only these may be sent elsewhere.
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(handle, CURLOPT_MAXREDIRS, kMaxRedirects);
    if (request.method == "HEAD") curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  }

  const std::string user_agent_;
  absl::Mutex mutex_;
  std::unique_ptr<CURL, CurlDeleter> handle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<HttpClient> MakeCurlHttpClient(std::string user_agent) {
  return std::make_unique<CurlHttpClient>(std::move(user_agent));
}

}  // namespace certcast::controller
