// A web server for http-01 and nothing else.
#ifndef CERTCAST_COMMON_HTTP_CHALLENGE_LISTENER_H_
#define CERTCAST_COMMON_HTTP_CHALLENGE_LISTENER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"

namespace certcast {

// Answers GET and HEAD of the paths of the tokens that it was given; everything else is 404, or 405. One answer a
// connection (HTTP/1.1, RFC 9112). Bounded: 64 connections, 4 KiB of request and five seconds each; one more takes the
// place of the oldest. Nothing of a request is in its answer, written down or kept. Thread-safe.
class ChallengeListener {
 public:
  static constexpr absl::Duration kPatience = absl::Seconds(5);

  // Listens when it returns. NO_ROUTE with the reason when it can't. The host is digits; port 0 picks a free one.
  static absl::StatusOr<std::unique_ptr<ChallengeListener>> Start(const HostPort& address,
                                                                  absl::Duration patience = kPatience);
  ~ChallengeListener();
  ChallengeListener(const ChallengeListener&) = delete;
  ChallengeListener& operator=(const ChallengeListener&) = delete;

  uint16_t port() const;
  absl::Status Put(absl::string_view token, absl::string_view key_authorization);
  // OK also when it was not there.
  void Remove(absl::string_view token);
  bool empty() const;

 private:
  struct Connection {
    Descriptor fd;
    std::string request;
    Deadline until;
  };

  ChallengeListener(Descriptor listener, Descriptor wake, absl::Duration patience)
      : listener_(std::move(listener)), wake_(std::move(wake)), patience_(patience) {}
  void Loop();
  void Accept();
  // Whether it is done with.
  bool Serve(Connection& connection);
  std::string AnswerTo(absl::string_view request) const;

  const Descriptor listener_;
  // eventfd: the end.
  const Descriptor wake_;
  const absl::Duration patience_;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::string, std::less<>> shown_ ABSL_GUARDED_BY(mutex_);
  // Of the thread alone; the oldest first.
  std::vector<Connection> connections_;
  std::thread thread_;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_HTTP_CHALLENGE_LISTENER_H_
