#include "controller/transport/ssh/route.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/link/bounds.h"
#include "common/probe/stream.h"
#include "common/status/status.h"
#include "controller/transport/ssh/host_certificate_probe.h"
#include "controller/transport/ssh/host_trust.h"
#include "controller/transport/ssh/known_hosts.h"

namespace certcast::controller {
namespace {

// Two that are the same can share a login.
std::string Identity(const std::vector<SshHop>& jumps, size_t last) {
  std::string identity;
  for (size_t i = 0; i <= last; ++i) {
    absl::StrAppend(&identity, jumps[i].ToString(), "\n", jumps[i].known_as, "\n",
                    absl::StrJoin(jumps[i].known_hosts, "\n"), "\n", jumps[i].login.Identity(), "\n\n");
  }
  return identity;
}

// A peer that is gone without a word is noticed, as on other links. Where it can't be set, deadlines have to do.
void KeepAlive(int socket) {
  const int on = 1;
  const int idle = static_cast<int>(absl::ToInt64Seconds(kKeepaliveTime));
  const int probes = 4;
  const int interval = static_cast<int>(absl::ToInt64Seconds(kKeepaliveTimeout)) / probes;
  const int unacknowledged = static_cast<int>(absl::ToInt64Milliseconds(kKeepaliveTime + kKeepaliveTimeout));
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof unacknowledged);
}

}  // namespace

absl::StatusOr<RoutedSession> SshRoutes::Open(const std::string& node, const std::vector<SshHop>& jumps,
                                              const SshHop& host, Deadline deadline) {
  RoutedSession routed;
  if (!jumps.empty()) {
    absl::StatusOr<std::shared_ptr<JumpHost>> through = JumpTo(jumps, jumps.size() - 1, deadline);
    if (!through.ok()) return Annotate(through.status(), node);
    routed.through = *std::move(through);
  }
  ASSIGN_OR_RETURN(routed.session,
                   OpenSession(absl::StrCat(node, " at ", host.ToString()), routed.through.get(), host, deadline));
  return routed;
}

absl::StatusOr<std::shared_ptr<JumpHost>> SshRoutes::JumpTo(const std::vector<SshHop>& jumps, size_t index,
                                                            Deadline deadline) {
  const std::string identity = Identity(jumps, index);
  {
    absl::MutexLock lock(&mutex_);
    Jump& jump = jumps_[identity];
    // Who waits for another's attempt shares its end: a jump host that hangs is not waited for by one after the other.
    const uint64_t attempts = jump.attempts;
    const auto settled = [&jump] { return !jump.connecting; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&settled), deadline.Remaining())) {
      return Fail(Reason::TIMED_OUT,
                  absl::StrCat("timed out while waiting for the jump host ", jumps[index].ToString()));
    }
    std::shared_ptr<JumpHost> there = jump.host.lock();
    if (there != nullptr && there->alive()) return there;
    if (jump.attempts != attempts && !jump.status.ok()) return jump.status;
    jump.connecting = true;
  }
  std::shared_ptr<JumpHost> connected;
  const absl::Status status = [&]() -> absl::Status {
    std::shared_ptr<JumpHost> before;
    if (index > 0) {
      ASSIGN_OR_RETURN(before, JumpTo(jumps, index - 1, deadline));
    }
    ASSIGN_OR_RETURN(
        std::unique_ptr<SshSession> session,
        OpenSession(absl::StrCat("jump host ", jumps[index].ToString()), before.get(), jumps[index], deadline));
    connected = std::make_shared<JumpHost>(std::move(session), std::move(before));
    return absl::OkStatus();
  }();
  absl::MutexLock lock(&mutex_);
  Jump& jump = jumps_[identity];
  jump.connecting = false;
  jump.host = connected;
  jump.status = status;
  ++jump.attempts;
  RETURN_IF_ERROR(status);
  return connected;
}

absl::StatusOr<Descriptor> SshRoutes::Connect(JumpHost* through, const SshHop& hop, Deadline deadline) {
  if (through != nullptr) return through->Tunnel(hop.to, deadline);
  ASSIGN_OR_RETURN(Descriptor socket, ConnectTcp(hop.to, resolver_, deadline));
  KeepAlive(socket.get());
  return socket;
}

absl::StatusOr<std::unique_ptr<SshSession>> SshRoutes::OpenSession(const std::string& peer, JumpHost* through,
                                                                   const SshHop& hop, Deadline whole) {
  const Deadline deadline = whole.ButWithin(hop.connect_timeout);
  // What is wrong on this side is said before anybody is spoken to.
  absl::StatusOr<std::shared_ptr<const LoginKeys>> keys = KeysFor(hop.login);
  if (!keys.ok()) return WithReason(Annotate(keys.status(), peer), Reason::AUTH_FAILED);
  const HostPort named = {hop.known_as.empty() ? hop.to.host : hop.known_as,
                          hop.known_as.empty() ? hop.to.port : uint16_t{22}};
  absl::StatusOr<KnownHost> known = FindKnownHost(hop.known_hosts, named);
  if (!known.ok()) {
    return WithHint(WithReason(Annotate(known.status(), peer), Reason::HOST_KEY_UNKNOWN),
                    "known_hosts lists the keys that hosts may show; a key is never accepted unseen");
  }
  std::vector<std::string> types = known->KeyTypes();
  std::optional<SshCertificate> certificate;
  if (!known->authorities.empty()) {
    absl::StatusOr<Descriptor> socket = Connect(through, hop, deadline);
    if (!socket.ok()) return Annotate(socket.status(), peer);
    ASSIGN_OR_RETURN(certificate, FetchHostCertificate(*std::move(socket), peer, deadline));
    if (certificate.has_value()) types.insert(types.begin(), certificate->key.type());
  }
  absl::StatusOr<Descriptor> socket = Connect(through, hop, deadline);
  if (!socket.ok()) return Annotate(socket.status(), peer);
  ASSIGN_OR_RETURN(std::unique_ptr<SshSession> session,
                   SshSession::Connect(*std::move(socket), peer, hop.user, types, certificate.has_value(), deadline));
  RETURN_IF_ERROR(CheckHostKey(session->host_key(), certificate, *known, peer, absl::Now()));
  RETURN_IF_ERROR((*keys)->Authenticate(*session, deadline));
  return session;
}

absl::StatusOr<std::shared_ptr<const LoginKeys>> SshRoutes::KeysFor(const SshLogin& login) {
  std::shared_ptr<Keys> entry;
  {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<Keys>& place = keys_[login.Identity()];
    if (place == nullptr) place = std::make_shared<Keys>();
    entry = place;
  }
  // One reads, the others wait for it. What failed is tried again: a file may have been put right.
  absl::MutexLock lock(&entry->mutex);
  if (entry->keys == nullptr) {
    ASSIGN_OR_RETURN(std::unique_ptr<LoginKeys> read, LoginKeys::Read(login));
    entry->keys = std::move(read);
  }
  return entry->keys;
}

}  // namespace certcast::controller
