#include "common/probe/system_resolver.h"

#include <netdb.h>

#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/status/status.h"

namespace certcast {
namespace {

// Shared with the thread, which may outlive the caller.
struct Lookup {
  std::string host;
  std::string port;
  absl::Notification done;
  // Set before `done`.
  int error = 0;
  std::vector<SocketAddress> found;

  void Run() {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* list = nullptr;
    error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
    for (const addrinfo* entry = list; error == 0 && entry != nullptr; entry = entry->ai_next) {
      SocketAddress address;
      memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
      address.size = entry->ai_addrlen;
      found.push_back(address);
    }
    if (list != nullptr) freeaddrinfo(list);
    done.Notify();
  }
};

class GetaddrinfoResolver final : public Resolver {
 public:
  absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& host, absl::Duration timeout) override {
    if (IsNumericAddress(host.host)) return Resolver::Local().Resolve(host, timeout);
    const auto lookup = std::make_shared<Lookup>();
    lookup->host = host.host;
    lookup->port = std::to_string(host.port);
    // getaddrinfo has no deadline.
    try {
      std::thread([lookup] { lookup->Run(); }).detach();
    } catch (const std::system_error& error) {
      return FailErrno(error.code().value(), "starting a thread to look up a host name");
    }
    if (!lookup->done.WaitForNotificationWithTimeout(timeout)) {
      return Fail(Reason::TIMED_OUT, absl::StrCat("looking up the host name \"", host.host, "\" took too long"),
                  "do the name servers in /etc/resolv.conf answer?");
    }
    if (lookup->error == 0 && !lookup->found.empty()) return std::move(lookup->found);
    return Fail(Reason::NO_ROUTE,
                absl::StrCat("looking up the host name \"", host.host,
                             "\": ", lookup->error == 0 ? "no address" : gai_strerror(lookup->error)),
                "is it spelt right, and does it resolve on this machine?");
  }
};

}  // namespace

Resolver& SystemResolver() {
  static auto* const resolver = new GetaddrinfoResolver;
  return *resolver;
}

}  // namespace certcast
