#include "controller/transport/ssh/jump_host.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr size_t kPiece = size_t{64} * 1024;

}  // namespace

// One tunnel: bytes between a channel of the session and this side's socket. Of the thread alone.
class JumpHost::Pipe {
 public:
  Pipe(ssh_session session, std::shared_ptr<Request> request)
      : request_(std::move(request)), channel_(ssh_channel_new(session)) {}
  ~Pipe() { ssh_channel_free(channel_); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Null once it is answered.
  const std::shared_ptr<Request>& request() const { return request_; }
  // SSH_AGAIN, SSH_OK or SSH_ERROR.
  int Open() {
    return channel_ == nullptr
               ? SSH_ERROR
               : ssh_channel_open_forward(channel_, request_->to.host.c_str(), request_->to.port, "127.0.0.1", 0);
  }
  void Opened(Descriptor far_end) {
    request_ = nullptr;
    local_ = std::move(far_end);
  }

  // Moves what can be moved. False when it is over.
  bool Move() { return Inbound() && Outbound(); }
  // What it waits for on this side.
  pollfd Awaited() const {
    const bool may_send = ssh_channel_window_size(channel_) > 0;
    return {local_.get(), static_cast<short>((may_send ? POLLIN : 0) | (to_local_.empty() ? 0 : POLLOUT)), 0};
  }
  // What poll said: where nothing may be sent, nothing else tells that nobody is there any more.
  void Heed(const pollfd& polled) { hung_up_ = (polled.revents & (POLLHUP | POLLERR)) != 0; }

 private:
  // From the channel. What this side does not take yet stays; then nothing more is read, and the window closes.
  bool Inbound() {
    while (true) {
      if (to_local_.empty()) {
        to_local_.resize(kPiece);
        const int size = ssh_channel_read_nonblocking(channel_, to_local_.data(), kPiece, 0);
        to_local_.resize(size > 0 ? static_cast<size_t>(size) : 0);
        if (size <= 0) return ssh_channel_is_eof(channel_) == 0 && ssh_channel_is_closed(channel_) == 0;
      }
      const ssize_t sent = send(local_.get(), to_local_.data(), to_local_.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      to_local_.erase(0, static_cast<size_t>(sent));
    }
  }

  bool Outbound() {
    std::array<char, kPiece> buffer;
    while (true) {
      const size_t room = std::min(buffer.size(), size_t{ssh_channel_window_size(channel_)});
      if (room == 0) return !hung_up_;
      const ssize_t size = recv(local_.get(), buffer.data(), room, 0);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      if (size == 0 || ssh_channel_write(channel_, buffer.data(), static_cast<uint32_t>(size)) != size) return false;
    }
  }

  std::shared_ptr<Request> request_;
  const ssh_channel channel_;
  Descriptor local_;
  std::string to_local_;
  bool hung_up_ = false;
};

JumpHost::JumpHost(std::unique_ptr<SshSession> session, std::shared_ptr<JumpHost> before)
    : before_(std::move(before)),
      session_(std::move(session)),
      peer_(session_->peer()),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { Run(); }) {
}

JumpHost::~JumpHost() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  WakeUp();
  thread_.join();
}

void JumpHost::WakeUp() const {
  const uint64_t one = 1;
  // A full counter wakes as well.
  (void)!write(wake_.get(), &one, sizeof one);
}

absl::StatusOr<Descriptor> JumpHost::Tunnel(const HostPort& to, Deadline deadline) {
  std::array<int, 2> ends;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return WithReason(FailErrno(errno, absl::StrCat("a tunnel through ", peer_)), Reason::NO_ROUTE);
  }
  Descriptor near_end(ends[0]);
  auto request = std::make_shared<Request>();
  request->to = to;
  request->far_end = Descriptor(ends[1]);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(ended_);
  requests_.push_back(request);
  WakeUp();
  const auto done = [&request] { return request->done; };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&done), deadline.Remaining())) {
    request->given_up = true;
    doubted_ = true;
    return Fail(Reason::TIMED_OUT, absl::StrCat(peer_, ": timed out while waiting for a tunnel to ", to.ToString()),
                "does the jump host reach that address? A firewall may drop the packets");
  }
  RETURN_IF_ERROR(request->status);
  return near_end;
}

bool JumpHost::alive() const {
  absl::MutexLock lock(&mutex_);
  return ended_.ok() && !doubted_;
}

void JumpHost::Answer(const std::shared_ptr<Request>& request, absl::Status status) {
  absl::MutexLock lock(&mutex_);
  request->done = true;
  request->status = std::move(status);
}

void JumpHost::TakeRequests() {
  absl::MutexLock lock(&mutex_);
  for (std::shared_ptr<Request>& request : requests_) {
    pipes_.push_back(std::make_unique<Pipe>(session_->get(), std::move(request)));
  }
  requests_.clear();
}

bool JumpHost::Step() {
  for (auto it = pipes_.begin(); it != pipes_.end();) {
    Pipe& pipe = **it;
    const std::shared_ptr<Request> request = pipe.request();
    bool keep = true;
    if (request == nullptr) {
      keep = pipe.Move();
    } else if (const int code = pipe.Open(); code == SSH_OK) {
      pipe.Opened(std::move(request->far_end));
      Answer(request, absl::OkStatus());
      keep = pipe.Move();
    } else if (code != SSH_AGAIN) {
      keep = false;
      Answer(request, session_->alive() ? Fail(Reason::NO_ROUTE,
                                               absl::StrCat(peer_, " opened no tunnel to ", request->to.ToString(),
                                                            ": ", session_->Error()),
                                               "does that server listen, and does the jump host's sshd_config allow it "
                                               "(AllowTcpForwarding, PermitOpen)?")
                                        : session_->Lost());
    } else {
      absl::MutexLock lock(&mutex_);
      keep = !request->given_up;
    }
    it = keep ? it + 1 : pipes_.erase(it);
  }
  return session_->alive();
}

void JumpHost::WaitForSomething() {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}, {session_->fd(), session_->PollEvents(), 0}};
  std::vector<Pipe*> open;
  for (const std::unique_ptr<Pipe>& pipe : pipes_) {
    if (pipe->request() != nullptr) continue;
    open.push_back(pipe.get());
    polled.push_back(pipe->Awaited());
  }
  if (poll(polled.data(), polled.size(), -1) < 0) return;
  for (size_t i = 0; i < open.size(); ++i) open[i]->Heed(polled[i + 2]);
  uint64_t woken = 0;
  (void)!read(wake_.get(), &woken, sizeof woken);
}

void JumpHost::Run() {
  while (true) {
    TakeRequests();
    const uint64_t before = session_->received();
    if (!session_->Pump() || !Step()) break;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
    }
    if (session_->received() == before) WaitForSomething();
  }
  const absl::Status lost = session_->Lost();
  for (const std::unique_ptr<Pipe>& pipe : pipes_) {
    if (pipe->request() != nullptr) Answer(pipe->request(), lost);
  }
  // Those that tunnels lead to see their ends.
  pipes_.clear();
  absl::MutexLock lock(&mutex_);
  ended_ = lost;
  for (const std::shared_ptr<Request>& request : requests_) {
    request->done = true;
    request->status = lost;
  }
  requests_.clear();
}

}  // namespace certcast::controller
