// A server behind a Unix socket that isn't there.
#ifndef CERTCAST_TESTS_TESTING_FAKE_LOCAL_SOCKET_H_
#define CERTCAST_TESTS_TESTING_FAKE_LOCAL_SOCKET_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "node/engine/local_socket.h"

namespace certcast::testing {

// Thread-compatible. Where a test said nothing, nothing listens.
class FakeLocalSocket final : public node::LocalSocket {
 public:
  using Server = std::function<absl::StatusOr<std::string>(const std::string& request)>;

  void On(const std::string& path, Server server) { servers_[path] = std::move(server); }

  absl::StatusOr<std::string> Ask(const std::string& path, absl::string_view request, absl::Duration timeout) override {
    requests_.emplace_back(request);
    timeouts_.push_back(timeout);
    const auto found = servers_.find(path);
    if (found == servers_.end()) return Fail(Reason::NO_ROUTE, absl::StrCat(path, ": connecting: nothing listens"));
    return found->second(requests_.back());
  }

  // In order.
  const std::vector<std::string>& requests() const { return requests_; }
  const std::vector<absl::Duration>& timeouts() const { return timeouts_; }

 private:
  std::map<std::string, Server> servers_;
  std::vector<std::string> requests_;
  std::vector<absl::Duration> timeouts_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_LOCAL_SOCKET_H_
