#include "tests/testing/acme_tls_server.h"

#include <openssl/ssl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/testing/program.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using controller::HttpRequest;
using controller::HttpResponse;

constexpr size_t kMaxRequest = size_t{256} * 1024;

bool ReadMore(SSL* ssl, std::string& buffer) {
  char bytes[4096];
  const int size = SSL_read(ssl, bytes, sizeof(bytes));
  if (size <= 0 || buffer.size() > kMaxRequest) return false;
  buffer.append(bytes, static_cast<size_t>(size));
  return true;
}

bool Send(SSL* ssl, const std::string& bytes) {
  return bytes.empty() || SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())) > 0;
}

// One request off the front of `buffer`; nullopt: the client is gone, or this is no HTTP.
std::optional<HttpRequest> TakeRequest(SSL* ssl, std::string& buffer, const std::string& origin) {
  size_t head_end = 0;
  while ((head_end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore(ssl, buffer)) return std::nullopt;
  }
  const std::vector<std::string> lines = absl::StrSplit(buffer.substr(0, head_end), "\r\n");
  const std::vector<std::string> words = absl::StrSplit(lines.front(), ' ');
  if (words.size() != 3) return std::nullopt;
  HttpRequest request{.method = words[0], .url = origin + words[1]};
  size_t length = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> header = absl::StrSplit(lines[i], absl::MaxSplits(": ", 1));
    request.headers.push_back(header);
    if (absl::EqualsIgnoreCase(header.first, "content-length") && !absl::SimpleAtoi(header.second, &length)) {
      return std::nullopt;
    }
  }
  const size_t total = head_end + 4 + length;
  while (buffer.size() < total) {
    if (!ReadMore(ssl, buffer)) return std::nullopt;
  }
  request.body = buffer.substr(head_end + 4, length);
  buffer.erase(0, total);
  return request;
}

std::string Wire(const HttpResponse& response, bool is_head) {
  std::string wire =
      absl::StrCat("HTTP/1.1 ", response.status, " x\r\nContent-Length: ", is_head ? 0 : response.body.size(), "\r\n");
  for (const auto& [name, value] : response.headers) absl::StrAppend(&wire, name, ": ", value, "\r\n");
  return absl::StrCat(wire, "\r\n", is_head ? "" : response.body);
}

}  // namespace

AcmeTlsServer::AcmeTlsServer(FakeAcmeServer& ca, const std::string& folder)
    : ca_(ca), ca_file_(folder + "/acme-https-root.pem"), context_(SSL_CTX_new(TLS_server_method())) {
  const TestCa root = TestCa::Root("Fake ACME HTTPS");
  const IssuedCertificate leaf = root.Issue({.dns_names = {"localhost"}, .ip_addresses = {"127.0.0.1"}});
  const bool ready = WriteFile(ca_file_, root.root_pem()).ok() &&
                     SSL_CTX_use_certificate(context_.get(), leaf.certificate.get()) == 1 &&
                     SSL_CTX_use_PrivateKey(context_.get(), leaf.key.get()) == 1;
  if (!ready) std::abort();
  ca_.set_origin(absl::StrCat("https://localhost:", socket_.port()));
  socket_.Listen();
  thread_ = std::thread([this] { Run(); });
}

AcmeTlsServer::~AcmeTlsServer() {
  socket_.Stop();
  thread_.join();
}

void AcmeTlsServer::set_on_request(OnRequest on_request) {
  const absl::MutexLock lock(&mutex_);
  on_request_ = std::move(on_request);
  requests_.clear();
}

std::vector<std::string> AcmeTlsServer::requests() const {
  const absl::MutexLock lock(&mutex_);
  return requests_;
}

void AcmeTlsServer::Run() {
  // A client that hangs up is none of the test's business.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  for (int connection = socket_.Accept(); connection >= 0; connection = socket_.Accept()) {
    const SslPtr<SSL> ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), connection);
    if (SSL_accept(ssl.get()) == 1) Serve(ssl.get());
    close(connection);
  }
}

void AcmeTlsServer::Serve(SSL* ssl) {
  std::string buffer;
  while (ServeOne(ssl, buffer)) {
  }
}

bool AcmeTlsServer::ServeOne(SSL* ssl, std::string& buffer) {
  const std::optional<HttpRequest> request = TakeRequest(ssl, buffer, ca_.origin());
  if (!request) return false;
  Deed deed;
  {
    const absl::MutexLock lock(&mutex_);
    requests_.push_back(absl::StrCat(request->method, " ", request->url.substr(ca_.origin().size())));
    if (on_request_) deed = on_request_(static_cast<int>(requests_.size()), *request);
  }
  HttpResponse response;
  if (!deed.lose_request) response = ca_.Handle(*request);
  if (deed.before_answering) deed.before_answering();
  if (deed.lose_request || deed.lose_answer) return false;
  if (!deed.raw_answer) return Send(ssl, Wire(response, request->method == "HEAD"));
  const std::string more(4096, 'x');
  bool sent = Send(ssl, *deed.raw_answer);
  for (size_t size = 0; sent && size < deed.endless; size += more.size()) sent = Send(ssl, more);
  return false;
}

}  // namespace certcast::testing
