// A wire that can be cut: forwards loopback connections until told otherwise.
#ifndef CERTCAST_TESTS_TESTING_TCP_RELAY_H_
#define CERTCAST_TESTS_TESTING_TCP_RELAY_H_

#include <string>
#include <thread>
#include <vector>

namespace certcast::testing {

// Listens on a port of 127.0.0.1 and forwards to another one. What goes wrong in here ends the test program.
class TcpRelay {
 public:
  // `to`: 127.0.0.1:port.
  explicit TcpRelay(const std::string& to);
  // Cuts.
  ~TcpRelay();

  const std::string& address() const { return address_; }
  // Resets every connection, and refuses new ones from now on: the machine behind it is gone.
  void Cut();

 private:
  void Loop();

  std::string address_;
  int to_port_ = 0;
  int listener_ = -1;
  // Written to once, to end Loop.
  int stop_[2];
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_TCP_RELAY_H_
