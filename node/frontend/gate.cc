#include "node/frontend/gate.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/listen/listening_socket.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr int kBacklog = 1024;
// gRPC reads what the kernel has of a connection that was cut.
constexpr int kReceiveBuffer = 32 * 1024;
// Until somebody may have given a descriptor back, and until gRPC may have closed one.
constexpr absl::Duration kOutOfDescriptors = absl::Milliseconds(100);
constexpr absl::Duration kBehind = absl::Milliseconds(5);
// epoll says nothing of bytes that gRPC was quick to read.
constexpr absl::Duration kLookAtLinks = kKeepaliveTime;
// A TLS record (RFC 8446, section 5.1): its type, version and length, then what it holds.
constexpr int kRecordHeader = 5;
constexpr int kMaxRecord = 16384;
constexpr uint8_t kHandshakeRecord = 22;

std::string Text(int family, const void* address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, address, text, sizeof text);
  return text;
}

// A peer as gRPC names it, and its source. An IPv4 address mapped into IPv6 is the former.
std::pair<std::string, std::string> Name(const sockaddr_storage& storage) {
  const std::string port = absl::StrCat(":", PortOf(storage));
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
  if (storage.ss_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&v6)) {
    const void* v4 = storage.ss_family == AF_INET
                         ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in&>(storage).sin_addr)
                         : &v6.s6_addr[12];
    const std::string host = absl::StrCat("ipv4:", Text(AF_INET, v4));
    return {absl::StrCat(host, port), host};
  }
  in6_addr network = v6;
  std::fill(&network.s6_addr[8], &network.s6_addr[16], 0);
  return {absl::StrCat("ipv6:[", Text(AF_INET6, &v6), "]", port), absl::StrCat("ipv6:", Text(AF_INET6, &network))};
}

// gRPC writes a peer as a URI, and the scope of a link-local address with it.
std::string WithoutEscapes(absl::string_view peer) {
  std::string plain = absl::StrReplaceAll(peer, {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  const size_t scope = plain.find('%');
  const size_t end = plain.find(']');
  if (scope < end && end != std::string::npos) plain.erase(scope, end - scope);
  return plain;
}

void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

// The kernel's number of a socket, never used twice; 0 when `fd` is no socket, or not open.
uint64_t CookieOf(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

uint64_t BytesReceived(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

bool Watch(const Descriptor& events, int fd, uint32_t what) {
  epoll_event event{.events = what, .data = {.fd = fd}};
  return epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

// The first TLS record is there, or it is seen that there will be none. Else poll reports the socket once more of it
// is.
bool HasSpoken(int fd) {
  uint8_t header[kRecordHeader];
  int there = 0;
  if (recv(fd, header, sizeof header, MSG_PEEK) < kRecordHeader || ioctl(fd, FIONREAD, &there) != 0) {
    SetOption(fd, SOL_SOCKET, SO_RCVLOWAT, kRecordHeader);
    return false;
  }
  const int record = header[3] * 256 + header[4];
  if (header[0] != kHandshakeRecord || record > kMaxRecord || there >= kRecordHeader + record) return true;
  SetOption(fd, SOL_SOCKET, SO_RCVLOWAT, kRecordHeader + record);
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Gate>> Gate::Listen(const HostPort& address, absl::Duration patience) {
  ASSIGN_OR_RETURN(Descriptor fd, ListenOn(address, {.backlog = kBacklog, .receive_buffer = kReceiveBuffer}));
  Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Descriptor events(epoll_create1(EPOLL_CLOEXEC));
  if (!Watch(events, wake.get(), EPOLLIN) || !Watch(events, fd.get(), EPOLLIN | EPOLLET)) {
    return CannotListen(address, errno);
  }
  return std::unique_ptr<Gate>(new Gate(std::move(fd), std::move(wake), std::move(events), patience));
}

Gate::~Gate() {
  Close();
}

uint16_t Gate::port() const {
  return LocalPortOf(listener_.get());
}

void Gate::Open(OnConnection on_connection) {
  on_connection_ = std::move(on_connection);
  thread_ = std::thread([this] { Loop(); });
}

void Gate::Close() {
  if (thread_.joinable()) {
    closing_ = true;
    eventfd_write(wake_.get(), 1);
    thread_.join();
  }
  listener_.Close();
  absl::MutexLock lock(&mutex_);
  std::erase_if(connections_, [](const auto& entry) { return entry.second.handed < 0; });
}

bool Gate::BeginLink(absl::string_view peer) {
  absl::MutexLock lock(&mutex_);
  const auto connection = Find(peer);
  if (connection == connections_.end()) return false;
  Connection& its = connection->second;
  if (its.links >= kMaxStreamsPerConnection || its.links_begun >= kMaxLinksBegun) {
    Cut(connection);
    return false;
  }
  ++its.links;
  ++its.links_begun;
  return true;
}

void Gate::EndLink(absl::string_view peer) {
  absl::MutexLock lock(&mutex_);
  const auto connection = Find(peer);
  if (connection == connections_.end() || --connection->second.links > 0) return;
  connection->second.since = absl::Now();
  connection->second.counted_from = BytesReceived(connection->first);
  // Its time runs from now, which the thread that waits has to know.
  eventfd_write(wake_.get(), 1);
}

void Gate::CountCommand(absl::string_view peer) {
  absl::MutexLock lock(&mutex_);
  const auto connection = Find(peer);
  if (connection != connections_.end()) connection->second.counted_from = BytesReceived(connection->first);
}

void Gate::Loop() {
  while (!closing_) {
    const std::vector<int> numbers = Await();
    std::vector<int> given;
    {
      absl::MutexLock lock(&mutex_);
      for (const int number : numbers) LookAt(number, given);
      CutWhoIsDue(absl::Now());
      AcceptAll();
    }
    // Not under the lock: gRPC may begin a link on this thread.
    for (const int fd : given) on_connection_(fd);
  }
}

std::vector<int> Gate::Await() {
  absl::Time next;
  {
    absl::MutexLock lock(&mutex_);
    next = NextLook();
  }
  const absl::Duration left = std::max(next - absl::Now(), absl::ZeroDuration()) + absl::Milliseconds(1);
  epoll_event happened[kMaxWaitingConnections];
  const int count = epoll_wait(events_.get(), happened, std::size(happened),
                               next == absl::InfiniteFuture() ? -1 : static_cast<int>(absl::ToInt64Milliseconds(left)));
  eventfd_t ignored;
  eventfd_read(wake_.get(), &ignored);
  std::vector<int> numbers;
  numbers.reserve(std::size(happened));
  for (int i = 0; i < count; ++i) numbers.push_back(happened[i].data.fd);
  absl::MutexLock lock(&mutex_);
  if (std::exchange(held_back_, false)) {
    for (const auto& [number, connection] : connections_) numbers.push_back(number);
  }
  return numbers;
}

absl::Time Gate::NextLook() {
  absl::Time next = absl::InfiniteFuture();
  if (held_back_) next = absl::Now() + kBehind;
  if (more_to_accept_)
    next = std::min(next, absl::Now() + (out_of_descriptors_ ? kOutOfDescriptors : absl::ZeroDuration()));
  for (const auto& [number, connection] : connections_) {
    next = std::min(next, connection.links == 0 ? connection.since + patience_ : absl::Now() + kLookAtLinks);
  }
  return next;
}

void Gate::LookAt(int number, std::vector<int>& given) {
  const auto connection = connections_.find(number);
  if (connection == connections_.end()) return;
  Connection& its = connection->second;
  pollfd item{.fd = number, .events = POLLRDHUP, .revents = 0};
  poll(&item, 1, 0);
  if ((item.revents & (POLLHUP | POLLERR)) != 0) {
    Forget(connection);
  } else if ((item.revents & POLLRDHUP) != 0) {
    // gRPC's peers never end their half alone; gRPC itself may not look while it can't write.
    Cut(connection);
  } else if (its.handed < 0 && HasSpoken(number)) {
    HandOver(connection, given);
  }
}

bool Gate::SendsTooMuch(const Connection& connection) {
  if (connection.handed < 0) return false;
  const uint64_t most = kMaxBytesWithoutLink + (connection.links > 0 ? kMaxLinkMessage : 0);
  return BytesReceived(connection.fd.get()) - connection.counted_from > most;
}

void Gate::HandOver(Connections::iterator connection, std::vector<int>& given) {
  if (IsBehind()) {
    held_back_ = true;
    return;
  }
  MakePlace(true, kMaxConnectionsWithoutLink);
  const int fd = fcntl(connection->first, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) {
    out_of_descriptors_ = true;
    Forget(connection);
    return;
  }
  SetOption(fd, SOL_SOCKET, SO_RCVLOWAT, 1);
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  connection->second.handed = fd;
  connection->second.counted_from = BytesReceived(fd);
  given.push_back(fd);
}

void Gate::AcceptAll() {
  // Not endlessly, since those that speak are to be seen too.
  out_of_descriptors_ = false;
  more_to_accept_ = true;
  for (size_t i = 0; i < kMaxWaitingConnections / 4 && more_to_accept_ && !out_of_descriptors_; ++i) AcceptOne();
}

void Gate::AcceptOne() {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  Descriptor fd(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&storage), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) {
    const int error = errno;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      // A place among those that wait is free at once, another one when gRPC gets to it.
      out_of_descriptors_ = !MakePlace(false, 1);
      if (out_of_descriptors_) MakePlace(true, 1);
    } else {
      more_to_accept_ = error == EINTR || error == ECONNABORTED;
    }
    return;
  }
  MakePlace(false, kMaxWaitingConnections);
  const int number = fd.get();
  SetOption(number, SOL_SOCKET, SO_RCVLOWAT, kRecordHeader);
  if (!Watch(events_, number, EPOLLIN | EPOLLRDHUP | EPOLLET)) return;
  auto [peer, source] = Name(storage);
  connections_[number] = {
      .fd = std::move(fd), .peer = std::move(peer), .source = std::move(source), .since = absl::Now()};
}

void Gate::CutWhoIsDue(absl::Time now) {
  for (auto it = connections_.begin(); it != connections_.end();) {
    const auto connection = it++;
    const Connection& its = connection->second;
    if ((its.links == 0 && now - its.since >= patience_) || SendsTooMuch(its)) Cut(connection);
  }
}

bool Gate::MakePlace(bool handed_over, size_t most) {
  std::map<absl::string_view, int> of_source;
  size_t count = 0;
  const auto is_meant = [handed_over](const Connection& connection) {
    return connection.links == 0 && (connection.handed >= 0) == handed_over;
  };
  for (const auto& [number, connection] : connections_) {
    if (!is_meant(connection)) continue;
    ++of_source[connection.source];
    ++count;
  }
  if (count < most) return false;
  auto victim = connections_.end();
  for (auto it = connections_.begin(); it != connections_.end(); ++it) {
    if (!is_meant(it->second)) continue;
    const auto rank = [&of_source](const Connection& connection) {
      return std::make_tuple(-of_source[connection.source], connection.since);
    };
    if (victim == connections_.end() || rank(it->second) < rank(victim->second)) victim = it;
  }
  Cut(victim);
  return true;
}

void Gate::Cut(Connections::iterator connection) {
  // gRPC finds it at its end, and closes its own descriptor.
  shutdown(connection->first, SHUT_RDWR);
  Forget(connection);
}

void Gate::Forget(Connections::iterator connection) {
  if (connection->second.handed >= 0) leaving_.emplace_back(connection->second.handed, CookieOf(connection->first));
  // gRPC's descriptor would keep the watch alive.
  epoll_ctl(events_.get(), EPOLL_CTL_DEL, connection->first, nullptr);
  connections_.erase(connection);
}

bool Gate::IsBehind() {
  std::erase_if(leaving_, [](const std::pair<int, uint64_t>& one) { return CookieOf(one.first) != one.second; });
  return leaving_.size() >= kMaxLeavingConnections;
}

Gate::Connections::iterator Gate::Find(absl::string_view peer) {
  const std::string plain = WithoutEscapes(peer);
  return std::find_if(connections_.begin(), connections_.end(),
                      [&plain](const auto& entry) { return entry.second.peer == plain; });
}

}  // namespace certcast::node
