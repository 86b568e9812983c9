// A real TLS server as services are: it reads its certificate and key from files, at the start and when it is told to,
// and goes on with what it has when they don't fit together.
#ifndef CERTCAST_TESTS_TESTING_RELOADING_TLS_SERVER_H_
#define CERTCAST_TESTS_TESTING_RELOADING_TLS_SERVER_H_

#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/local_tls_server.h"

namespace certcast::testing {

// What a service reads from the two files: the leaf's SHA-256 in lower-case hex; "nothing" when neither is there,
// "mixed" when they are not one certificate and its key.
std::string LeafInFiles(const std::string& fullchain_path, const std::string& key_path);

// Thread-safe.
class ReloadingTlsServer {
 public:
  // Serves these until the first reload, on a port of 127.0.0.1; 0: a free one.
  ReloadingTlsServer(std::string fullchain_path, std::string key_path, absl::string_view fullchain_pem,
                     absl::string_view key_pem, int port = 0);
  ~ReloadingTlsServer();

  std::string address() const { return tls_.address(); }
  // A bash line (it uses /dev/tcp) that reloads, and fails when the server does.
  std::string reload_line() const;
  // As the reload line does, also while reloads are ignored.
  bool Reload();
  // From now on the reload line does nothing and is content, as with services that forget to.
  void IgnoreReloads(bool ignores) { ignores_ = ignores; }

 private:
  void Run();

  const std::string fullchain_path_;
  const std::string key_path_;
  LocalTlsServer tls_;
  LocalSocket control_;
  std::atomic<bool> ignores_ = false;
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_RELOADING_TLS_SERVER_H_
