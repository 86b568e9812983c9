#include "common/probe/tls_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock/show_utc.h"
#include "common/probe/start_tls.h"
#include "common/probe/tls_error.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "common/x509/key_library.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {
namespace {

// A BIO over a TcpStream's socket. OpenSSL's own socket BIO calls write, which raises SIGPIPE when the peer is gone.
int BioWrite(BIO* bio, const char* bytes, int size) {
  const auto* tcp = static_cast<const TcpStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t sent = send(tcp->fd(), bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int BioRead(BIO* bio, char* bytes, int size) {
  const auto* tcp = static_cast<const TcpStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t received = recv(tcp->fd(), bytes, static_cast<size_t>(size), 0);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (received == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(received);
}

long BioControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return 0;
}

BIO_METHOD* SocketMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "certcast tcp");
    BIO_meth_set_write(made, BioWrite);
    BIO_meth_set_read(made, BioRead);
    BIO_meth_set_ctrl(made, BioControl);
    return made;
  }();
  return method;
}

// Why the peer's chain was refused here, kept by the callback since OpenSSL forgets the certificate.
struct Verification {
  int error = X509_V_OK;
  std::string whose;
};

int VerifyAndRemember(X509_STORE_CTX* context, void* argument) {
  const int result = X509_verify_cert(context);
  if (result == 1) return 1;
  auto* verification = static_cast<Verification*>(argument);
  verification->error = X509_STORE_CTX_get_error(context);
  X509* at = X509_STORE_CTX_get_current_cert(context);
  if (at == nullptr) at = X509_STORE_CTX_get0_cert(context);
  const absl::StatusOr<Certificate> certificate = Certificate::FromX509(at);
  if (certificate.ok()) {
    verification->whose = absl::StrCat(
        certificate->dns_names().empty() ? certificate->subject_name() : absl::StrJoin(certificate->dns_names(), " "),
        ", until ", ShowUtcSecond(certificate->not_after()));
  }
  return 0;
}

absl::Status SetUpError(absl::string_view what) {
  return Fail(Reason::PROTOCOL, absl::StrCat("setting up TLS: ", what, ": ", TakeOpensslErrors()));
}

absl::Status ShowCertificate(SSL_CTX* context, const TlsOptions& options) {
  if (options.chain == nullptr || options.chain->empty() || options.key == nullptr) return absl::OkStatus();
  const std::vector<Certificate>& chain = *options.chain;
  if (SSL_CTX_use_certificate(context, chain[0].get()) != 1) return SetUpError("our certificate");
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return SetUpError("our certificate's chain");
  }
  if (SSL_CTX_use_PrivateKey(context, options.key->get()) != 1) {
    return Fail(Reason::KEY_MISMATCH, absl::StrCat("our private key and certificate: ", TakeOpensslErrors()));
  }
  return absl::OkStatus();
}

absl::Status Trust(SSL_CTX* context, const std::vector<Certificate>& roots, Verification& verification) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const Certificate& root : roots) {
    if (X509_STORE_add_cert(store, root.get()) != 1) return SetUpError("a trusted certificate");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, VerifyAndRemember, &verification);
  return absl::OkStatus();
}

absl::StatusOr<SslPtr<SSL_CTX>> MakeContext(const TlsOptions& options, Verification& verification) {
  SslPtr<SSL_CTX> context(SSL_CTX_new_ex(KeyLibrary(), nullptr, TLS_client_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return SetUpError("a context");
  }
  // As OpenSSL has them, but the one with AES-128 and SHA-256 first: processors have both, few have SHA-384.
  if (SSL_CTX_set_ciphersuites(context.get(),
                               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                               "TLS_CHACHA20_POLY1305_SHA256") != 1) {
    return SetUpError("the ciphers");
  }
  SSL_CTX_set_mode(context.get(), SSL_MODE_AUTO_RETRY);
  RETURN_IF_ERROR(ShowCertificate(context.get(), options));
  if (options.roots != nullptr) {
    RETURN_IF_ERROR(Trust(context.get(), *options.roots, verification));
  } else {
    // A probe wants to see a weak certificate, not to be kept from it.
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    // OpenSSL would look for a path, and then not mind that there is none.
    SSL_CTX_set_cert_verify_callback(
        context.get(), [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
  }
  std::string protocols;
  for (const std::string& protocol : options.alpn) {
    if (protocol.empty() || protocol.size() > 255) return FailInput("an ALPN protocol has 1 to 255 bytes");
    absl::StrAppend(&protocols, std::string(1, static_cast<char>(protocol.size())), protocol);
  }
  if (!protocols.empty() &&
      SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                              static_cast<unsigned>(protocols.size())) != 0) {
    return SetUpError("ALPN");
  }
  return context;
}

// As MakeContext. Probes of one kind, which are most, share one: it takes as long to make as half a handshake. OpenSSL
// keeps no sessions of clients, so nothing of one connection is in another.
absl::StatusOr<std::shared_ptr<SSL_CTX>> ContextFor(const TlsOptions& options, Verification& verification) {
  if (options.roots == nullptr && options.chain == nullptr && options.alpn.empty()) {
    static const auto* const plain =
        new absl::StatusOr<std::shared_ptr<SSL_CTX>>(MakeContext(TlsOptions(), verification));
    return *plain;
  }
  ASSIGN_OR_RETURN(SslPtr<SSL_CTX> own, MakeContext(options, verification));
  return std::shared_ptr<SSL_CTX>(std::move(own));
}

// Server name indication is for names (RFC 6066 section 3); what the certificate must have may be an address as well.
absl::Status SetName(SSL* ssl, const std::string& server_name, const std::string& host, bool is_verified) {
  if (!server_name.empty() && !IsNumericAddress(server_name) &&
      SSL_set_tlsext_host_name(ssl, server_name.c_str()) != 1) {
    return SetUpError("the server name");
  }
  if (!is_verified) return absl::OkStatus();
  const std::string& name = server_name.empty() ? host : server_name;
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  const int set = IsNumericAddress(name) ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str())
                                         : X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
  return set == 1 ? absl::OkStatus() : SetUpError("the expected name");
}

class TlsStreamOverTcp final : public TlsStream {
 public:
  TlsStreamOverTcp(std::unique_ptr<TcpStream> tcp, const TlsOptions& options)
      : tcp_(std::move(tcp)), options_(options) {}

  absl::Status Handshake(const HostPort& to, absl::string_view server_name) {
    RETURN_IF_ERROR(StartTls(*tcp_, options_.starttls, server_name.empty() ? absl::string_view(to.host) : server_name,
                             tcp_->peer()));
    ERR_clear_error();
    ASSIGN_OR_RETURN(context_, ContextFor(options_, verification_));
    ssl_.reset(SSL_new(context_.get()));
    BIO* bio = BIO_new(SocketMethod());
    if (ssl_ == nullptr || bio == nullptr) {
      BIO_free(bio);
      return SetUpError("a connection");
    }
    BIO_set_data(bio, tcp_.get());
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    RETURN_IF_ERROR(SetName(ssl_.get(), std::string(server_name), to.host, options_.roots != nullptr));
    RETURN_IF_ERROR(Repeat([this] { return SSL_connect(ssl_.get()); }, tcp_->deadline(), "its TLS handshake").status());
    RememberPeer();
    return ListenForRefusal();
  }

  const TlsPeer& peer() const override { return peer_; }

  absl::Status Write(absl::string_view bytes) override {
    if (bytes.empty()) return absl::OkStatus();
    return Repeat([&] { return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())); }, tcp_->deadline(),
                  "it to read")
        .status();
  }

  absl::StatusOr<std::string> Read() override {
    char buffer[16 * 1024];
    ASSIGN_OR_RETURN(const int size, Repeat([&] { return SSL_read(ssl_.get(), buffer, sizeof buffer); },
                                            tcp_->deadline(), "an answer"));
    return std::string(buffer, static_cast<size_t>(size));
  }

 private:
  // The result of `call`, which is made again for as long as it wants the socket; 0 when the peer has ended the stream.
  template <typename Call>
  absl::StatusOr<int> Repeat(Call call, Deadline deadline, absl::string_view awaited) {
    while (true) {
      errno = 0;
      const int result = call();
      const int system_error = errno;
      if (result > 0) return result;
      const int error = SSL_get_error(ssl_.get(), result);
      switch (error) {
        case SSL_ERROR_WANT_READ:
          RETURN_IF_ERROR(tcp_->WaitFor(POLLIN, awaited, deadline));
          break;
        case SSL_ERROR_WANT_WRITE:
          RETURN_IF_ERROR(tcp_->WaitFor(POLLOUT, awaited, deadline));
          break;
        case SSL_ERROR_ZERO_RETURN:
          if (SSL_is_init_finished(ssl_.get())) return 0;
          [[fallthrough]];
        default:
          return Explain(error, system_error);
      }
    }
  }

  absl::Status Explain(int error, int system_error) {
    if (verification_.error != X509_V_OK) {
      ERR_clear_error();
      return VerificationError(tcp_->peer(), verification_.error, verification_.whose);
    }
    return TlsError(tcp_->peer(), error, system_error);
  }

  void RememberPeer() {
    peer_.version = SSL_get_version(ssl_.get());
    const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl_.get());
    for (int i = 0; i < sk_X509_num(chain); ++i) peer_.chain_der.push_back(DerOf(sk_X509_value(chain, i)));
    if (!peer_.chain_der.empty()) peer_.leaf_sha256 = Sha256Hex(peer_.chain_der.front());
    ERR_clear_error();
  }

  static std::string DerOf(X509* x509) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(x509, &der);
    if (size <= 0) return "";
    std::string bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return bytes;
  }

  // Data or an orderly end is as good as silence.
  absl::Status ListenForRefusal() {
    if (options_.listen <= absl::ZeroDuration()) return absl::OkStatus();
    char byte;
    const absl::Status heard = Repeat([&] { return SSL_peek(ssl_.get(), &byte, sizeof byte); },
                                      tcp_->deadline().ButWithin(options_.listen), "a refusal")
                                   .status();
    return ReasonOf(heard) == Reason::TIMED_OUT ? absl::OkStatus() : heard;
  }

  const std::unique_ptr<TcpStream> tcp_;
  const TlsOptions options_;
  Verification verification_;
  std::shared_ptr<SSL_CTX> context_;
  SslPtr<SSL> ssl_;
  TlsPeer peer_;
};

}  // namespace

std::vector<std::string> TlsPeer::ChainSha256() const {
  std::vector<std::string> all;
  for (const std::string& der : chain_der) all.push_back(Sha256Hex(der));
  return all;
}

absl::StatusOr<Certificate> TlsPeer::Leaf() const {
  if (chain_der.empty()) return Fail(Reason::MALFORMED, "no certificate was served");
  return Certificate::FromDer(chain_der.front());
}

absl::StatusOr<std::unique_ptr<TlsStream>> TlsStream::Connect(const HostPort& to, absl::string_view server_name,
                                                              const TlsOptions& options, Deadline deadline) {
  Resolver& resolver = options.resolver == nullptr ? Resolver::Local() : *options.resolver;
  ASSIGN_OR_RETURN(std::unique_ptr<TcpStream> tcp, TcpStream::Connect(to, resolver, deadline));
  auto stream = std::make_unique<TlsStreamOverTcp>(std::move(tcp), options);
  RETURN_IF_ERROR(stream->Handshake(to, server_name));
  return stream;
}

absl::StatusOr<TlsPeer> TlsHandshake(absl::string_view address, absl::string_view server_name,
                                     const TlsOptions& options, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(address));
  ASSIGN_OR_RETURN(const std::unique_ptr<TlsStream> stream,
                   TlsStream::Connect(to, server_name, options, Deadline::In(timeout)));
  return stream->peer();
}

}  // namespace certcast
