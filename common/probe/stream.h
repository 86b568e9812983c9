// A byte stream to a peer, with one deadline for all that is done on it.
#ifndef CERTCAST_COMMON_PROBE_STREAM_H_
#define CERTCAST_COMMON_PROBE_STREAM_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/descriptor.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/resolver.h"

namespace certcast {

// Errors: NO_ROUTE before there is a connection, TIMED_OUT, LINK_LOST, PROTOCOL. They name the peer. Thread-compatible.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual absl::Status Write(absl::string_view bytes) = 0;
  // What has come, at most 16 KiB, as soon as there is any; empty when the peer has ended the stream.
  virtual absl::StatusOr<std::string> Read() = 0;
};

// A connected socket, non-blocking. Tries every address of the host until one accepts. Errors as of Stream.
absl::StatusOr<Descriptor> ConnectTcp(const HostPort& to, Resolver& resolver, Deadline deadline);

// Over TCP. Never raises SIGPIPE.
class TcpStream final : public Stream {
 public:
  // As ConnectTcp.
  static absl::StatusOr<std::unique_ptr<TcpStream>> Connect(const HostPort& to, Resolver& resolver, Deadline deadline);

  absl::Status Write(absl::string_view bytes) override;
  absl::StatusOr<std::string> Read() override;

  // Until one of `events` (as of poll) or an error is there. TIMED_OUT, saying what was `awaited`.
  absl::Status WaitFor(short events, absl::string_view awaited) const { return WaitFor(events, awaited, deadline_); }
  absl::Status WaitFor(short events, absl::string_view awaited, Deadline deadline) const;

  // Non-blocking.
  int fd() const { return fd_.get(); }
  // For messages.
  const std::string& peer() const { return peer_; }
  Deadline deadline() const { return deadline_; }

 private:
  TcpStream(Descriptor fd, std::string peer, Deadline deadline)
      : fd_(std::move(fd)), peer_(std::move(peer)), deadline_(deadline) {}

  const Descriptor fd_;
  const std::string peer_;
  const Deadline deadline_;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_STREAM_H_
