// A real TLS server (OpenSSL) on the loopback, whose certificate a test can swap at any time.
//
//   LocalTlsServer server(leaf.fullchain_pem, leaf.key_pem.ExposeSecret());
//   ... probe server.address() ...
//   server.Serve(newer.fullchain_pem, newer.key_pem.ExposeSecret());
#ifndef CERTCAST_TESTS_TESTING_LOCAL_TLS_SERVER_H_
#define CERTCAST_TESTS_TESTING_LOCAL_TLS_SERVER_H_

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/x509/ssl_ptr.h"
#include "tests/testing/local_tcp_server.h"

namespace certcast::testing {

// What a server says, and then waits for: it reads until what came ends with `awaits`. Empty: it does not wait.
struct Exchange {
  std::string says;
  std::string awaits;
};

// One connection at a time, each with the settings of the moment it was accepted. Ends the test program when a PEM is
// not what it should be. Thread-safe.
class LocalTlsServer {
 public:
  LocalTlsServer(absl::string_view fullchain_pem, absl::string_view key_pem)
      : LocalTlsServer(fullchain_pem, key_pem, false) {}
  // On ::1 where `is_v6`; `port` 0: a free one.
  LocalTlsServer(absl::string_view fullchain_pem, absl::string_view key_pem, bool is_v6, int port = 0);
  ~LocalTlsServer();
  LocalTlsServer(const LocalTlsServer&) = delete;
  LocalTlsServer& operator=(const LocalTlsServer&) = delete;

  std::string address() const { return socket_.address(); }
  int port() const { return socket_.port(); }

  // From the next connection on, for every server name that ServeName doesn't have.
  void Serve(absl::string_view fullchain_pem, absl::string_view key_pem);
  // For exactly this server name (SNI).
  void ServeName(absl::string_view server_name, absl::string_view fullchain_pem, absl::string_view key_pem);
  // Only clients with a certificate from this root.
  void DemandClientCertificate(absl::string_view root_pem);
  // TLS1_2_VERSION, TLS1_3_VERSION: no later one is spoken.
  void LimitVersion(int version);
  // In the clear, before the handshake; a client that ends the connection in it gets no handshake.
  void TalkFirst(std::vector<Exchange> exchanges);
  // Sent once a client has said something; then the connection is closed. At first an HTTP 200 without content.
  void Answer(absl::string_view bytes);

  // What clients asked for (empty: no SNI), one entry a connection that got as far as that.
  std::vector<std::string> server_names() const;
  // What clients said after the handshake, one entry each.
  std::vector<std::string> requests() const;

 private:
  using ContextPtr = std::shared_ptr<SSL_CTX>;

  static ContextPtr MakeContext(absl::string_view fullchain_pem, absl::string_view key_pem);
  static int ChooseByName(SSL* ssl, int* alert, void* server);
  void Run();
  void Talk(int connection);
  bool TalkInTheClear(int connection);
  SslPtr<SSL> NewConnection(int connection);
  void Finish(SSL* ssl);

  LocalSocket socket_;
  mutable absl::Mutex mutex_;
  ContextPtr default_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, ContextPtr> by_name_ ABSL_GUARDED_BY(mutex_);
  std::string client_root_pem_ ABSL_GUARDED_BY(mutex_);
  int max_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Exchange> talk_first_ ABSL_GUARDED_BY(mutex_);
  std::string answer_ ABSL_GUARDED_BY(mutex_) = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  std::vector<std::string> server_names_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_LOCAL_TLS_SERVER_H_
