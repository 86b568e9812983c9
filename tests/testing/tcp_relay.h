// A wire that can be cut: forwards loopback connections until told otherwise.
#ifndef CERTCAST_TESTS_TESTING_TCP_RELAY_H_
#define CERTCAST_TESTS_TESTING_TCP_RELAY_H_

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace certcast::testing {

struct TcpRelayOptions {
  // Of one connection, both ways together: after so many bytes it is reset. -1: never.
  long cut_after = -1;
  // Of all connections together, both ways; 0: no bound.
  long bytes_per_second = 0;
};

// Listens on a port of 127.0.0.1 and forwards to another one. What goes wrong in here ends the test program.
class TcpRelay {
 public:
  // `to`: 127.0.0.1:port.
  explicit TcpRelay(const std::string& to, const TcpRelayOptions& options = {});
  // Cuts.
  ~TcpRelay();

  const std::string& address() const { return address_; }
  int port() const;
  // Of all connections, both ways.
  long forwarded() const { return forwarded_; }
  // Resets every connection, and refuses new ones from now on: the machine behind it is gone.
  void Cut();

 private:
  void Loop();
  // What came on one end goes out at the other; false at the end of either, or of what may pass.
  bool Forward(int from, int to, long& left);

  const TcpRelayOptions options_;
  std::atomic<long> forwarded_ = 0;
  std::string address_;
  int to_port_ = 0;
  int listener_ = -1;
  // Written to once, to end Loop.
  int stop_[2];
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_TCP_RELAY_H_
