#include "common/http_challenge/listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/http_challenge/token.h"
#include "common/listen/listening_socket.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxConnections = 64;
constexpr size_t kMaxRequest = 4096;
constexpr int kReceiveBuffer = 8192;
// Where the system has no descriptor left.
constexpr absl::Duration kPause = absl::Milliseconds(100);

std::string Response(absl::string_view status, absl::string_view body, bool with_body) {
  return absl::StrCat("HTTP/1.1 ", status,
                      "\r\nContent-Type: application/octet-stream\r\nContent-Length: ", body.size(),
                      "\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n", with_body ? body : "");
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChallengeListener>> ChallengeListener::Start(const HostPort& address,
                                                                            absl::Duration patience) {
  ASSIGN_OR_RETURN(Descriptor listener,
                   ListenOn(address, {.backlog = kMaxConnections, .receive_buffer = kReceiveBuffer}));
  Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return CannotListen(address, errno);
  std::unique_ptr<ChallengeListener> started(new ChallengeListener(std::move(listener), std::move(wake), patience));
  try {
    started->thread_ = std::thread([raw = started.get()] { raw->Loop(); });
  } catch (const std::system_error&) {
    return CannotListen(address, EAGAIN);
  }
  return started;
}

ChallengeListener::~ChallengeListener() {
  if (!thread_.joinable()) return;
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

uint16_t ChallengeListener::port() const {
  return LocalPortOf(listener_.get());
}

absl::Status ChallengeListener::Put(absl::string_view token, absl::string_view key_authorization) {
  RETURN_IF_ERROR(CheckHttpChallenge(token, key_authorization));
  absl::MutexLock lock(&mutex_);
  shown_[std::string(token)] = std::string(key_authorization);
  return absl::OkStatus();
}

void ChallengeListener::Remove(absl::string_view token) {
  absl::MutexLock lock(&mutex_);
  shown_.erase(std::string(token));
}

bool ChallengeListener::empty() const {
  absl::MutexLock lock(&mutex_);
  return shown_.empty();
}

void ChallengeListener::Loop() {
  while (true) {
    std::vector<pollfd> polled = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                  {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
    absl::Duration longest = absl::InfiniteDuration();
    for (const Connection& connection : connections_) {
      polled.push_back({.fd = connection.fd.get(), .events = POLLIN, .revents = 0});
      longest = std::min(longest, connection.until.Remaining());
    }
    const int timeout =
        longest == absl::InfiniteDuration() ? -1 : static_cast<int>(absl::ToInt64Milliseconds(longest)) + 1;
    if (poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) {
      absl::SleepFor(kPause);
      continue;
    }
    if ((polled[0].revents & POLLIN) != 0) return;
    std::erase_if(connections_, [this](Connection& connection) { return Serve(connection); });
    if ((polled[1].revents & POLLIN) != 0) Accept();
  }
}

void ChallengeListener::Accept() {
  Descriptor fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) absl::SleepFor(kPause);
    return;
  }
  if (connections_.size() == kMaxConnections) connections_.erase(connections_.begin());
  connections_.push_back({.fd = std::move(fd), .request = "", .until = Deadline::In(patience_)});
}

bool ChallengeListener::Serve(Connection& connection) {
  char buffer[kMaxRequest];
  const ssize_t got = recv(connection.fd.get(), buffer, sizeof buffer - connection.request.size(), 0);
  if (got < 0) return (errno != EAGAIN && errno != EINTR) || connection.until.IsOver();
  if (got == 0) return true;
  connection.request.append(buffer, static_cast<size_t>(got));
  if (!absl::StrContains(connection.request, "\r\n\r\n")) {
    return connection.request.size() == kMaxRequest || connection.until.IsOver();
  }
  // It fits into the socket's buffer, which is empty.
  const std::string answer = AnswerTo(connection.request);
  (void)send(connection.fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  shutdown(connection.fd.get(), SHUT_WR);
  return true;
}

std::string ChallengeListener::AnswerTo(absl::string_view request) const {
  const bool is_get = absl::ConsumePrefix(&request, "GET ");
  if (!is_get && !absl::ConsumePrefix(&request, "HEAD ")) return Response("405 Method Not Allowed", "", true);
  const absl::string_view target = request.substr(0, request.find_first_of(" \r\n"));
  absl::string_view token = target;
  if (!absl::ConsumePrefix(&token, kChallengePath)) return Response("404 Not Found", "", true);
  absl::MutexLock lock(&mutex_);
  const auto shown = shown_.find(std::string(token));
  if (shown == shown_.end()) return Response("404 Not Found", "", true);
  return Response("200 OK", shown->second, is_get);
}

}  // namespace certcast
