// What this node shows to ACME CAs (http-01), and takes away again whatever becomes of the controller that asked for
// it.
#ifndef CERTCAST_NODE_HTTP_CHALLENGE_HTTP_CHALLENGES_H_
#define CERTCAST_NODE_HTTP_CHALLENGE_HTTP_CHALLENGES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/http_challenge/listener.h"
#include "common/http_challenge/place.h"

namespace certcast::node {

// A file below a webroot is noted in <state>/http-challenges before it is written, and removed when its time is over,
// when this ends, or at the first start after a crash once its time is over. A listener holds nothing on disk, and is
// there only while it has something to show. Thread-safe; several processes may work on one state.
class HttpChallenges {
 public:
  // Both must outlive this.
  HttpChallenges(FileSystem& files, Clock& clock) : files_(files), clock_(clock) {}
  // Takes away what it put there.
  ~HttpChallenges();
  HttpChallenges(const HttpChallenges&) = delete;
  HttpChallenges& operator=(const HttpChallenges&) = delete;

  struct Challenge {
    std::string token;
    std::string key_authorization;
    absl::Duration lifetime;
  };
  // Idempotent. What was shown elsewhere under the same token is taken away first. MALFORMED for a challenge that is
  // none or has no lifetime from a second to a day, BUSY when there are kMaxChallenges, NO_ROUTE when it can't be
  // listened on, or of the file system. On an error nothing is shown.
  absl::Status Put(const HttpChallengePlace& place, const std::string& state, const Challenge& challenge);
  // Wherever it was put. OK also when it is not there.
  absl::Status Remove(const std::string& state, absl::string_view token);
  // At the start: what an earlier process left behind and is overdue is removed, the rest when its time is over, if
  // this is still there then. The first error; the rest is done all the same.
  absl::Status TakeUp(const std::string& state);
  // What the thread of this does once a second while there is something to take away.
  absl::Status RemoveOverdue();

  // Where it listens now; 0: nowhere.
  uint16_t listening_port() const;

 private:
  struct Shown {
    std::string state;
    // Empty: by the listener.
    std::string webroot;
    absl::Time until;
    bool mine = true;
  };

  bool IsAt(const Shown& shown, const HttpChallengePlace& place, const std::string& state) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status PutFile(const std::string& webroot, const std::string& state, const Challenge& challenge)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Listen(const std::string& address, const Challenge& challenge) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveFile(const std::string& state, absl::string_view token) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Forget(const std::string& token) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // From now on the thread looks.
  void Note(const std::string& token, Shown shown) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch();
  bool IsEnding() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_; }
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_ || !shown_.empty(); }

  FileSystem& files_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Shown> shown_ ABSL_GUARDED_BY(mutex_);
  std::string listening_on_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ChallengeListener> listener_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_HTTP_CHALLENGE_HTTP_CHALLENGES_H_
