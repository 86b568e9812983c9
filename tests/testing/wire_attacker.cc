#include "tests/testing/wire_attacker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace certcast::testing {
namespace {

constexpr size_t kChunk = 65536;

sockaddr_in Loopback(uint32_t address, int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(address);
  to.sin_port = htons(static_cast<uint16_t>(port));
  return to;
}

bool PollFor(int fd, int events, absl::Duration longest) {
  pollfd item{.fd = fd, .events = static_cast<short>(events), .revents = 0};
  return poll(&item, 1, static_cast<int>(absl::ToInt64Milliseconds(longest))) > 0;
}

std::string BigEndian(uint32_t number, int bytes) {
  std::string result;
  for (int i = bytes - 1; i >= 0; --i) result.push_back(static_cast<char>(number >> (8 * i)));
  return result;
}

// With a prefix of seven bits; the first one (Huffman) is 0.
std::string HpackString(absl::string_view text) {
  std::string result;
  size_t rest = text.size();
  if (rest < 127) {
    result.push_back(static_cast<char>(rest));
  } else {
    result.push_back(127);
    for (rest -= 127; rest >= 128; rest /= 128) result.push_back(static_cast<char>(128 + rest % 128));
    result.push_back(static_cast<char>(rest));
  }
  return absl::StrCat(result, text);
}

SslPtr<SSL_CTX> MakeContext(const IssuedCertificate* certificate) {
  SslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  const unsigned char h2[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), h2, sizeof h2);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (certificate == nullptr) return context;
  const std::string der = certificate->certificate.der();
  const std::string pem(certificate->key_pem.ExposeSecret());
  const SslPtr<BIO> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const SslPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr));
  if (SSL_CTX_use_certificate_ASN1(context.get(), static_cast<int>(der.size()),
                                   reinterpret_cast<const unsigned char*>(der.data())) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    abort();
  }
  return context;
}

}  // namespace

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) abort();
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) abort();
}

RawConnection::RawConnection(const std::string& to, uint32_t source) {
  int port = 0;
  if (!absl::SimpleAtoi(to.substr(to.rfind(':') + 1), &port)) abort();
  fd_ = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_.valid()) abort();
  // 127.1.0.0 and on: none of the addresses that tests listen on or come from otherwise.
  const sockaddr_in from = Loopback((127u << 24) + (1u << 16) + source % 60000 + 1, 0);
  const sockaddr_in peer = Loopback(INADDR_LOOPBACK, port);
  const int on = 1;
  setsockopt(fd_.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) abort();
  if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0) return;
  // The other end's queue may be full.
  int error = errno;
  socklen_t size = sizeof error;
  if (error != EINPROGRESS || !PollFor(fd_.get(), POLLOUT, absl::Seconds(2)) ||
      getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
    fd_.Close();
  }
}

bool RawConnection::Send(absl::string_view bytes) const {
  return send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

bool RawConnection::Ended() const {
  if (!fd_.valid()) return true;
  char buffer[4096];
  ssize_t count;
  while ((count = recv(fd_.get(), buffer, sizeof buffer, 0)) > 0) {
  }
  return count == 0 || errno != EAGAIN;
}

bool RawConnection::AwaitEnd(absl::Duration longest) const {
  const absl::Time deadline = absl::Now() + longest;
  while (!Ended()) {
    if (absl::Now() > deadline) return false;
    PollFor(fd_.get(), POLLIN, absl::Milliseconds(100));
  }
  return true;
}

std::string ClientHello() {
  const SslPtr<SSL_CTX> context = MakeContext(nullptr);
  const SslPtr<SSL> ssl(SSL_new(context.get()));
  SSL_set0_rbio(ssl.get(), BIO_new(BIO_s_mem()));
  SSL_set0_wbio(ssl.get(), BIO_new(BIO_s_mem()));
  SSL_connect(ssl.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(ssl.get()), &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

TlsConnection::TlsConnection(const std::string& to, uint32_t source, const IssuedCertificate* certificate)
    : raw_(to, source), context_(MakeContext(certificate)), ssl_(SSL_new(context_.get())) {
  SSL_set_fd(ssl_.get(), raw_.fd());
}

bool TlsConnection::Wait(int events, absl::Duration longest) const {
  return PollFor(raw_.fd(), events, longest);
}

TlsConnection::Progress TlsConnection::Step() {
  if (!raw_.connected()) return Progress::kFailed;
  ERR_clear_error();
  const int result = SSL_connect(ssl_.get());
  if (result == 1) return Progress::kDone;
  const int error = SSL_get_error(ssl_.get(), result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Progress::kUnderWay : Progress::kFailed;
}

bool TlsConnection::Handshake(absl::Duration longest) {
  const absl::Time deadline = absl::Now() + longest;
  Progress progress;
  while ((progress = Step()) == Progress::kUnderWay && absl::Now() < deadline) Wait(POLLIN, deadline - absl::Now());
  return progress == Progress::kDone;
}

bool TlsConnection::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    ERR_clear_error();
    const int count = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (SSL_get_error(ssl_.get(), count) != SSL_ERROR_WANT_WRITE || !Wait(POLLOUT, absl::Seconds(1))) {
      return false;
    }
  }
  return true;
}

std::string TlsConnection::Receive(absl::Duration longest) {
  std::string buffer(kChunk, '\0');
  ERR_clear_error();
  int count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
  if (count <= 0 && Wait(POLLIN, longest)) {
    count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
  }
  buffer.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return buffer;
}

bool TlsConnection::AwaitEnd(absl::Duration longest) {
  return raw_.AwaitEnd(longest);
}

std::string Frame(FrameType type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  return absl::StrCat(BigEndian(static_cast<uint32_t>(payload.size()), 3), std::string(1, static_cast<char>(type)),
                      std::string(1, static_cast<char>(flags)), BigEndian(stream, 4), payload);
}

std::string Hello() {
  return absl::StrCat(kPreface, Frame(FrameType::kSettings, 0, 0, ""));
}

std::string HeaderField(absl::string_view name, absl::string_view value) {
  return absl::StrCat(std::string(1, '\0'), HpackString(name), HpackString(value));
}

std::string LinkHeaders() {
  return absl::StrCat(HeaderField(":method", "POST"), HeaderField(":scheme", "https"),
                      HeaderField(":path", "/certcast.v1.NodeLink/Link"), HeaderField(":authority", "node"),
                      HeaderField("te", "trailers"), HeaderField("content-type", "application/grpc"));
}

std::string Message(uint32_t declared, absl::string_view content) {
  return absl::StrCat(std::string(1, '\0'), BigEndian(declared, 4), content);
}

}  // namespace certcast::testing
