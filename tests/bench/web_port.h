// The web servers of many simulated nodes behind one port: whoever connects to a node's address is served that node's
// certificate.
#ifndef CERTCAST_TESTS_BENCH_WEB_PORT_H_
#define CERTCAST_TESTS_BENCH_WEB_PORT_H_

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/file/descriptor.h"
#include "common/x509/ssl_ptr.h"

namespace certcast::bench {

// TLS as OpenSSL does it with its defaults, and nothing after the handshake. Thread-safe.
class WebPort {
 public:
  // On all of the machine's IPv4 addresses. As many handshakes at once as `threads`.
  static absl::StatusOr<std::unique_ptr<WebPort>> Start(int threads);
  ~WebPort();
  WebPort(const WebPort&) = delete;
  WebPort& operator=(const WebPort&) = delete;

  int port() const { return port_; }
  // At this address (of IPv4, without port) from the next connection on, as a server that was told to read its files
  // does. Returns the leaf's SHA-256.
  absl::StatusOr<std::string> Serve(const std::string& address, const std::string& fullchain_pem,
                                    const std::string& key_pem);

 private:
  // Read once, however many nodes have them.
  struct Pair {
    std::string leaf_sha256;
    SslPtr<SSL_CTX> context;
  };

  WebPort() = default;
  void AcceptAll();
  void Answer(int connection);
  std::shared_ptr<const Pair> PairAt(const std::string& address);

  Descriptor socket_;
  int port_ = 0;
  absl::Mutex mutex_;
  // By their two files.
  std::map<std::string, std::shared_ptr<const Pair>> pairs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<const Pair>> served_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_WEB_PORT_H_
