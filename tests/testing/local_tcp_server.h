// Ports on 127.0.0.1 that do what real ones do when something is wrong.
#ifndef CERTCAST_TESTS_TESTING_LOCAL_TCP_SERVER_H_
#define CERTCAST_TESTS_TESTING_LOCAL_TCP_SERVER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"

namespace certcast::testing {

// A socket bound to a port of 127.0.0.1, or of ::1: a free one where `port` is 0. Ends the test program when it can't
// be had.
class LocalSocket {
 public:
  explicit LocalSocket(bool is_v6 = false, int port = 0);
  ~LocalSocket();
  LocalSocket(const LocalSocket&) = delete;
  LocalSocket& operator=(const LocalSocket&) = delete;

  void Listen() const;
  // The next connection, with time limits of 10 s on what is done with it; -1 after Stop.
  int Accept() const;
  // Makes Accept return, now and later.
  void Stop() const;

  int port() const { return port_; }
  // "127.0.0.1:PORT" or "[::1]:PORT".
  std::string address() const;

 private:
  const bool is_v6_;
  int fd_;
  int stop_[2];
  int port_;
};

// A port that is taken, so that nobody else gets it, and on which connections are refused.
class RefusingPort {
 public:
  std::string address() const { return socket_.address(); }
  int port() const { return socket_.port(); }

 private:
  LocalSocket socket_;
};

// Accepts connections and says nothing.
class SilentServer {
 public:
  SilentServer() { socket_.Listen(); }
  std::string address() const { return socket_.address(); }
  int port() const { return socket_.port(); }

 private:
  // The kernel accepts on its own.
  LocalSocket socket_;
};

// Says the same bytes to everyone, reads what comes until the other end is done, and closes.
class TalkingServer {
 public:
  explicit TalkingServer(absl::string_view bytes);
  ~TalkingServer();
  std::string address() const { return socket_.address(); }
  int port() const { return socket_.port(); }

 private:
  LocalSocket socket_;
  const std::string bytes_;
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_LOCAL_TCP_SERVER_H_
