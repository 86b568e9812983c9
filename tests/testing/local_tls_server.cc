#include "tests/testing/local_tls_server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"

namespace certcast::testing {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "LocalTlsServer: %s\n", what);
  ERR_print_errors_fp(stderr);
  std::abort();
}

SslPtr<BIO> Reader(absl::string_view text) {
  return SslPtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

SslPtr<X509> NextCertificate(BIO* pem) {
  return SslPtr<X509>(PEM_read_bio_X509(pem, nullptr, nullptr, nullptr));
}

}  // namespace

LocalTlsServer::LocalTlsServer(absl::string_view fullchain_pem, absl::string_view key_pem, bool is_v6, int port)
    : socket_(is_v6, port) {
  Serve(fullchain_pem, key_pem);
  socket_.Listen();
  thread_ = std::thread([this] { Run(); });
}

LocalTlsServer::~LocalTlsServer() {
  socket_.Stop();
  thread_.join();
}

LocalTlsServer::ContextPtr LocalTlsServer::MakeContext(absl::string_view fullchain_pem, absl::string_view key_pem) {
  const ContextPtr context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_security_level(context.get(), 0);
  const SslPtr<BIO> certificates = Reader(fullchain_pem);
  const SslPtr<X509> leaf = NextCertificate(certificates.get());
  Require(leaf != nullptr && SSL_CTX_use_certificate(context.get(), leaf.get()) == 1, "the leaf");
  while (const SslPtr<X509> next = NextCertificate(certificates.get())) {
    Require(SSL_CTX_add1_chain_cert(context.get(), next.get()) == 1, "the chain");
  }
  ERR_clear_error();
  const SslPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(Reader(key_pem).get(), nullptr, nullptr, nullptr));
  Require(key != nullptr && SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1, "the key");
  return context;
}

void LocalTlsServer::Serve(absl::string_view fullchain_pem, absl::string_view key_pem) {
  ContextPtr context = MakeContext(fullchain_pem, key_pem);
  const absl::MutexLock lock(&mutex_);
  default_ = std::move(context);
}

void LocalTlsServer::ServeName(absl::string_view server_name, absl::string_view fullchain_pem,
                               absl::string_view key_pem) {
  ContextPtr context = MakeContext(fullchain_pem, key_pem);
  const absl::MutexLock lock(&mutex_);
  by_name_[std::string(server_name)] = std::move(context);
}

void LocalTlsServer::DemandClientCertificate(absl::string_view root_pem) {
  const absl::MutexLock lock(&mutex_);
  client_root_pem_ = std::string(root_pem);
}

void LocalTlsServer::LimitVersion(int version) {
  const absl::MutexLock lock(&mutex_);
  max_version_ = version;
}

void LocalTlsServer::TalkFirst(std::vector<Exchange> exchanges) {
  const absl::MutexLock lock(&mutex_);
  talk_first_ = std::move(exchanges);
}

void LocalTlsServer::Answer(absl::string_view bytes) {
  const absl::MutexLock lock(&mutex_);
  answer_ = std::string(bytes);
}

std::vector<std::string> LocalTlsServer::server_names() const {
  const absl::MutexLock lock(&mutex_);
  return server_names_;
}

std::vector<std::string> LocalTlsServer::requests() const {
  const absl::MutexLock lock(&mutex_);
  return requests_;
}

int LocalTlsServer::ChooseByName(SSL* ssl, int*, void* argument) {
  auto* server = static_cast<LocalTlsServer*>(argument);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const absl::MutexLock lock(&server->mutex_);
  server->server_names_.emplace_back(name == nullptr ? "" : name);
  const auto found = server->by_name_.find(server->server_names_.back());
  if (found != server->by_name_.end()) SSL_set_SSL_CTX(ssl, found->second.get());
  return SSL_TLSEXT_ERR_OK;
}

void LocalTlsServer::Run() {
  // OpenSSL writes to connections that clients have dropped.
  sigset_t sigpipe;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &sigpipe, nullptr);
  for (int connection; (connection = socket_.Accept()) >= 0; close(connection)) Talk(connection);
}

SslPtr<SSL> LocalTlsServer::NewConnection(int connection) {
  const absl::MutexLock lock(&mutex_);
  SSL_CTX_set_tlsext_servername_callback(default_.get(), ChooseByName);
  SSL_CTX_set_tlsext_servername_arg(default_.get(), this);
  SslPtr<SSL> ssl(SSL_new(default_.get()));
  Require(ssl != nullptr && SSL_set_fd(ssl.get(), connection) == 1, "a connection");
  SSL_set_max_proto_version(ssl.get(), max_version_);
  if (client_root_pem_.empty()) return ssl;
  const SslPtr<X509> root = NextCertificate(Reader(client_root_pem_).get());
  const SslPtr<X509_STORE> store(X509_STORE_new());
  Require(root != nullptr && X509_STORE_add_cert(store.get(), root.get()) == 1, "the client's root");
  Require(SSL_set1_verify_cert_store(ssl.get(), store.get()) == 1, "the client's root");
  SSL_set_verify(ssl.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return ssl;
}

// A byte at a time, so that nothing of the handshake is taken.
bool LocalTlsServer::TalkInTheClear(int connection) {
  std::vector<Exchange> exchanges;
  {
    const absl::MutexLock lock(&mutex_);
    exchanges = talk_first_;
  }
  for (const Exchange& exchange : exchanges) {
    if (send(connection, exchange.says.data(), exchange.says.size(), MSG_NOSIGNAL) < 0) return false;
    std::string heard;
    for (char byte; !absl::EndsWith(heard, exchange.awaits); heard += byte) {
      if (recv(connection, &byte, 1, 0) != 1) return false;
    }
  }
  return true;
}

void LocalTlsServer::Talk(int connection) {
  const SslPtr<SSL> ssl = NewConnection(connection);
  if (TalkInTheClear(connection) && SSL_accept(ssl.get()) == 1) Finish(ssl.get());
  // Closing with something unread would be a reset, which can overtake the alert.
  shutdown(connection, SHUT_WR);
  char dropped[4096];
  while (recv(connection, dropped, sizeof dropped, 0) > 0) {
  }
  ERR_clear_error();
}

void LocalTlsServer::Finish(SSL* ssl) {
  char request[4096];
  const int size = SSL_read(ssl, request, sizeof request);
  if (size <= 0) return;
  std::string answer;
  {
    const absl::MutexLock lock(&mutex_);
    requests_.emplace_back(request, static_cast<size_t>(size));
    answer = answer_;
  }
  if (!answer.empty()) SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
  SSL_shutdown(ssl);
}

}  // namespace certcast::testing
