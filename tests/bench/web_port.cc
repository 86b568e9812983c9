#include "tests/bench/web_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast::bench {
namespace {

constexpr int kBacklog = 1024;

absl::StatusOr<SslPtr<SSL_CTX>> MakeContext(const std::vector<Certificate>& chain, const std::string& key_pem) {
  SslPtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  const SslPtr<BIO> key_bytes(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  const SslPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_bytes.get(), nullptr, nullptr, nullptr));
  bool good = context != nullptr && key != nullptr;
  good = good && SSL_CTX_use_certificate(context.get(), chain.front().get()) == 1;
  for (size_t i = 1; good && i < chain.size(); ++i) good = SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) == 1;
  good = good && SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1;
  if (!good) return absl::InternalError("a web server can't use the certificate in its files");
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WebPort>> WebPort::Start(int threads) {
  auto web = std::unique_ptr<WebPort>(new WebPort());
  web->socket_ = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (!web->socket_.valid() || bind(web->socket_.get(), generic, size) != 0 ||
      listen(web->socket_.get(), kBacklog) != 0 || getsockname(web->socket_.get(), generic, &size) != 0) {
    return FailErrno(errno, "listening for the nodes' web servers");
  }
  web->port_ = ntohs(address.sin_port);
  for (int i = 0; i < threads; ++i) web->threads_.emplace_back([server = web.get()] { server->AcceptAll(); });
  return web;
}

WebPort::~WebPort() {
  shutdown(socket_.get(), SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<std::string> WebPort::Serve(const std::string& address, const std::string& fullchain_pem,
                                           const std::string& key_pem) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<const Pair>& pair = pairs_[fullchain_pem + key_pem];
  if (pair == nullptr) {
    ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(fullchain_pem));
    ASSIGN_OR_RETURN(SslPtr<SSL_CTX> context, MakeContext(chain, key_pem));
    pair = std::make_shared<const Pair>(Pair{chain.front().sha256(), std::move(context)});
  }
  served_[address] = pair;
  return pair->leaf_sha256;
}

void WebPort::AcceptAll() {
  while (true) {
    const int connection = accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) {
      Answer(connection);
    } else if (errno != EINTR && errno != ECONNABORTED && errno != EMFILE) {
      return;
    }
  }
}

void WebPort::Answer(int connection) {
  const Descriptor closes(connection);
  const timeval patience = {.tv_sec = 10, .tv_usec = 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  char text[INET_ADDRSTRLEN] = "";
  getsockname(connection, reinterpret_cast<sockaddr*>(&address), &size);
  inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  const std::shared_ptr<const Pair> pair = PairAt(text);
  if (pair == nullptr) return;
  const SslPtr<SSL> tls(SSL_new(pair->context.get()));
  if (tls == nullptr || SSL_set_fd(tls.get(), connection) != 1) return;
  if (SSL_accept(tls.get()) == 1) SSL_shutdown(tls.get());
}

std::shared_ptr<const WebPort::Pair> WebPort::PairAt(const std::string& address) {
  absl::MutexLock lock(&mutex_);
  const auto found = served_.find(address);
  return found == served_.end() ? nullptr : found->second;
}

}  // namespace certcast::bench
