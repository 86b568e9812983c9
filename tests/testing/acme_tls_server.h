// A FakeAcmeServer behind a real port: HTTPS for the real program, which a test can hang up on, or end, at each
// request.
//
//   FakeAcmeServer ca(Clock::Real(), look_up);
//   AcmeTlsServer server(ca, folder);
//   server.set_on_request([&](int number, const HttpRequest& request) { ... return Deed::kAnswer; });
//   ... accounts: [{directory: ca.directory_url(), ca_file: server.ca_file()}]
#ifndef CERTCAST_TESTS_TESTING_ACME_TLS_SERVER_H_
#define CERTCAST_TESTS_TESTING_ACME_TLS_SERVER_H_

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/x509/ssl_ptr.h"
#include "controller/acme/http_client.h"
#include "tests/testing/fake_acme_server.h"
#include "tests/testing/local_tcp_server.h"

namespace certcast::testing {

// Connections one after the other, each for as many requests as the client likes. Thread-safe; `ca` is used on the
// server's thread only while a request is under way.
class AcmeTlsServer {
 public:
  // What becomes of a request.
  struct Deed {
    // The CA does not hear of it.
    bool lose_request = false;
    // The connection ends without an answer.
    bool lose_answer = false;
    // This is sent instead of what the CA says; then the connection ends.
    std::optional<std::string> raw_answer;
    // That many bytes follow it, or until the client hangs up.
    size_t endless = 0;
    // Once the CA has acted.
    std::function<void()> before_answering;
  };
  // Requests are counted from 1.
  using OnRequest = std::function<Deed(int number, const controller::HttpRequest& request)>;

  // Sets the CA's origin. `folder` gets the root of the server's certificate.
  AcmeTlsServer(FakeAcmeServer& ca, const std::string& folder);
  ~AcmeTlsServer();
  AcmeTlsServer(const AcmeTlsServer&) = delete;
  AcmeTlsServer& operator=(const AcmeTlsServer&) = delete;

  const std::string& ca_file() const { return ca_file_; }
  // Counts anew from 1.
  void set_on_request(OnRequest on_request);
  // `POST /finalize/o7`, in order, since then.
  std::vector<std::string> requests() const;

 private:
  void Run();
  void Serve(SSL* ssl);
  // False: the connection is at its end.
  bool ServeOne(SSL* ssl, std::string& buffer);

  FakeAcmeServer& ca_;
  LocalSocket socket_;
  std::string ca_file_;
  SslPtr<SSL_CTX> context_;
  mutable absl::Mutex mutex_;
  OnRequest on_request_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_ACME_TLS_SERVER_H_
