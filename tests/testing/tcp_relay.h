// A wire that can be cut, or go dead: forwards connections until told otherwise.
#ifndef CERTCAST_TESTS_TESTING_TCP_RELAY_H_
#define CERTCAST_TESTS_TESTING_TCP_RELAY_H_

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "common/probe/address.h"

namespace certcast::testing {

struct TcpRelayOptions {
  // Of one connection, both ways together: after so many bytes it is reset. -1: never.
  long cut_after = -1;
  // Of all connections together, both ways; 0: no bound.
  long bytes_per_second = 0;
};

// Listens on a port of 127.0.0.1 and forwards to another place; a connection that nobody takes there is reset. What
// goes wrong in here ends the test program.
class TcpRelay {
 public:
  // `to`: host:port.
  explicit TcpRelay(const std::string& to, const TcpRelayOptions& options = {});
  // Cuts.
  ~TcpRelay();

  const std::string& address() const { return address_; }
  int port() const;
  // Of all connections, both ways.
  long forwarded() const { return forwarded_; }
  // Resets every connection, and refuses new ones from now on: the machine behind it is gone.
  void Cut();
  // From now on takes whatever is said and passes none of it on, as when a machine is gone without a word. Only the end
  // of a connection still is.
  void Freeze() { frozen_ = true; }

 private:
  void Loop();
  // What came on one end goes out at the other; false at the end of either, or of what may pass.
  bool Forward(int from, int to, long& left);

  const TcpRelayOptions options_;
  const HostPort to_;
  std::atomic<long> forwarded_ = 0;
  std::atomic<bool> frozen_ = false;
  std::string address_;
  int listener_ = -1;
  // Written to once, to end Loop.
  int stop_[2];
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_TCP_RELAY_H_
