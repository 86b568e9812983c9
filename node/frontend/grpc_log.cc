#include "node/frontend/grpc_log.h"

#include <grpc/support/log.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace certcast::node {
namespace {

constexpr absl::string_view kHandshakeFailed = "Handshake failed with fatal error ";
constexpr int kLinesPerMinute = 20;

// gRPC says that verification failed, not why; OpenSSL knows, on the thread that is about to log it.
thread_local long last_verify_error = X509_V_OK;

// Not the info callback: gRPC has one of its own.
void OnSslMessage(int is_written, int /*version*/, int type, const void*, size_t, SSL* ssl, void*) {
  if (is_written != 0 && type == SSL3_RT_ALERT) last_verify_error = SSL_get_verify_result(ssl);
}

void OnSslMade(void* ssl, void*, CRYPTO_EX_DATA*, int, long, void*) {
  SSL_set_msg_callback(static_cast<SSL*>(ssl), OnSslMessage);
}

// Thread-safe. Says at most so many lines in a minute, and how many it kept back.
class RateLimit {
 public:
  void Set(OnLine on_line) {
    absl::MutexLock lock(&mutex_);
    on_line_ = std::move(on_line);
  }

  void Say(absl::string_view line) {
    absl::MutexLock lock(&mutex_);
    if (!on_line_) return;
    const absl::Time now = absl::Now();
    if (now - since_ >= absl::Minutes(1)) {
      if (said_ > kLinesPerMinute) on_line_(absl::StrCat("refused ", said_ - kLinesPerMinute, " more connections"));
      since_ = now;
      said_ = 0;
    }
    if (++said_ <= kLinesPerMinute) on_line_(line);
  }

 private:
  absl::Mutex mutex_;
  OnLine on_line_ ABSL_GUARDED_BY(mutex_);
  absl::Time since_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int said_ ABSL_GUARDED_BY(mutex_) = 0;
};

RateLimit& Lines() {
  static RateLimit& lines = *new RateLimit;  // gRPC's threads may outlive main
  return lines;
}

void OnGrpcLine(gpr_log_func_args* args) {
  const std::string reason = ExplainHandshakeFailure(args->message, std::exchange(last_verify_error, X509_V_OK));
  if (!reason.empty()) Lines().Say(absl::StrCat("refused a connection: ", reason));
}

}  // namespace

void LogRefusal(absl::string_view line) {
  Lines().Say(line);
}

std::string ExplainHandshakeFailure(absl::string_view line, long verify_error) {
  if (!absl::ConsumePrefix(&line, kHandshakeFailed)) return "";
  // "SSL_ERROR_SSL: error:0A000086:SSL routines::certificate verify failed."
  if (size_t at = line.rfind("::"); at != absl::string_view::npos) line.remove_prefix(at + 2);
  absl::ConsumeSuffix(&line, ".");
  if (line == "certificate verify failed") {
    return absl::StrCat("peer did not present a certificate of this fleet: ",
                        verify_error == X509_V_OK ? "it does not verify" : X509_verify_cert_error_string(verify_error));
  }
  if (line == "peer did not return a certificate") return "peer presented no certificate";
  if (size_t at = line.find("alert "); at != absl::string_view::npos) {
    return absl::StrCat("peer refused this node's certificate: ", line.substr(at + 6));
  }
  if (line == "wrong version number" || line == "http request") return "peer does not speak TLS";
  return absl::StrCat("TLS handshake failed: ", line);
}

void CaptureGrpcLog(OnLine on_line) {
  Lines().Set(std::move(on_line));
  static const int index = SSL_get_ex_new_index(0, nullptr, OnSslMade, nullptr, nullptr);
  static_cast<void>(index);
  gpr_set_log_function(OnGrpcLine);
}

}  // namespace certcast::node
