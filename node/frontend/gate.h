// Takes connections in front of gRPC. gRPC 1.51 bounds neither how many there are nor the streams of a peer that does
// not acknowledge its settings, and stops listening for good when descriptors run out (docs/adr/0006).
#ifndef CERTCAST_NODE_FRONTEND_GATE_H_
#define CERTCAST_NODE_FRONTEND_GATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/link/bounds.h"
#include "common/probe/address.h"

namespace certcast::node {

// Connections that have not sent the whole of their first TLS record; gRPC does not know of them.
inline constexpr size_t kMaxWaitingConnections = 256;
// Connections that gRPC has and that carry no link: handshakes for the most part.
inline constexpr size_t kMaxConnectionsWithoutLink = 128;
// Connections that ended or were cut and that gRPC has still to close; with so many, no other one is handed over.
inline constexpr size_t kMaxLeavingConnections = 16;
// Links that one connection may begin in its life. A controller begins one.
inline constexpr int kMaxLinksBegun = 256;
// Bytes that a connection without a link may send: a handshake, a call's headers, a small command. With a link it may
// send kMaxLinkMessage more between a command and the next.
inline constexpr uint64_t kMaxBytesWithoutLink = 32 * 1024;

// Where there is no place for one more, the oldest connection of the source that has the most is cut: a source is an
// IPv4 address, or 64 bits of an IPv6 one. A silent connection takes no place from one that spoke, and none without a
// link takes one from a link. A connection has a link `patience` after it was taken, and after its last link again, or
// it is cut; so is one that sends more than it may. All of them hold 656 descriptors at most, where links are no more
// than 64.
//
// Peers are named as gRPC names them: "ipv4:192.0.2.1:50000". Thread-safe.
class Gate {
 public:
  // Gets a connected, non-blocking socket to keep. Called on the gate's thread.
  using OnConnection = std::function<void(int fd)>;

  // Bound and listening; nobody is let in before Open. [::] takes IPv4 too, 0.0.0.0 takes nothing else. Port 0 picks a
  // free one. NO_ROUTE with the reason otherwise.
  static absl::StatusOr<std::unique_ptr<Gate>> Listen(const HostPort& address,
                                                      absl::Duration patience = kHandshakeTimeout);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  uint16_t port() const;
  // Once.
  void Open(OnConnection on_connection);
  // Stops listening, and closes what gRPC was not given. What it was given stays, and is watched no more. on_connection
  // isn't called after it.
  void Close();

  // A link begins, for which EndLink is due. False when its connection ended meanwhile, or has kMaxStreamsPerConnection
  // links, or has begun kMaxLinksBegun; it is cut then.
  bool BeginLink(absl::string_view peer);
  void EndLink(absl::string_view peer);
  // A command was read.
  void CountCommand(absl::string_view peer);

 private:
  struct Connection {
    // Until it is handed over, the only descriptor of its socket; then a second one: by it the connection can be cut,
    // and its end seen, whatever gRPC does with its own.
    Descriptor fd;
    std::string peer;
    std::string source;
    // gRPC's own descriptor; -1: not handed over.
    int handed = -1;
    int links = 0;
    int links_begun = 0;
    // Bytes that had come when it was given to gRPC, its last link ended, or its last command was read.
    uint64_t counted_from = 0;
    absl::Time since;
  };
  // By the number of their own descriptor.
  using Connections = std::map<int, Connection>;

  Gate(Descriptor listener, Descriptor wake, Descriptor events, absl::Duration patience)
      : listener_(std::move(listener)), wake_(std::move(wake)), events_(std::move(events)), patience_(patience) {}
  void Loop();
  // Until something happens or a connection's time is over; gives the connections to look at.
  std::vector<int> Await() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Time NextLook() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Adds to `given` what gRPC is to get.
  void LookAt(int number, std::vector<int>& given) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool SendsTooMuch(const Connection& connection);
  void HandOver(Connections::iterator connection, std::vector<int>& given) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AcceptAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AcceptOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutWhoIsDue(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of those without a link, handed over or not, cuts one when there are `most`. False when none was cut.
  bool MakePlace(bool handed_over, size_t most) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Cut(Connections::iterator connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(Connections::iterator connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // gRPC has yet to close too many.
  bool IsBehind() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Connections::iterator Find(absl::string_view peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Descriptor listener_;
  // For the thread to look anew, and to end when closing_.
  const Descriptor wake_;
  // epoll's.
  const Descriptor events_;
  const absl::Duration patience_;
  std::atomic<bool> closing_{false};
  OnConnection on_connection_;
  std::thread thread_;
  absl::Mutex mutex_;
  Connections connections_ ABSL_GUARDED_BY(mutex_);
  // gRPC's descriptor, and the kernel's number of its socket, of those that gRPC had not closed when last looked at.
  std::vector<std::pair<int, uint64_t>> leaving_ ABSL_GUARDED_BY(mutex_);
  bool more_to_accept_ ABSL_GUARDED_BY(mutex_) = true;
  // Accepts nothing for a while.
  bool out_of_descriptors_ ABSL_GUARDED_BY(mutex_) = false;
  // Some that spoke are not handed over yet.
  bool held_back_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_GATE_H_
