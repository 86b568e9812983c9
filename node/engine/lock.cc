#include "node/engine/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr absl::Duration kLookAgain = absl::Milliseconds(100);

class FileLock : public StateLock {
 public:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  ~FileLock() override { close(descriptor_); }

 private:
  const int descriptor_;
};

class FileLocker : public StateLocker {
 public:
  absl::StatusOr<std::unique_ptr<StateLock>> Lock(const std::string& state) override {
    const std::string path = absl::StrCat(state, "/lock");
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0) return FailErrno(errno, absl::StrCat("opening ", path));
    auto lock = std::make_unique<FileLock>(descriptor);
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        return Fail(Reason::BUSY, absl::StrCat("another certcast-node works on ", state),
                    "stop it, or wait until it is done: `fuser -v " + path + "` names it");
      }
      return FailErrno(errno, absl::StrCat("locking ", path));
    }
    return lock;
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<StateLock>> LockWithin(absl::Duration patience, const std::string& state,
                                                      StateLocker& locker, Clock& clock,
                                                      const std::function<void()>& on_wait) {
  const absl::Duration give_up = clock.Monotonic() + patience;
  for (bool told = false;; told = true) {
    auto lock = locker.Lock(state);
    if (ReasonOf(lock.status()) != Reason::BUSY || clock.Monotonic() >= give_up) return lock;
    if (!told && on_wait) on_wait();
    clock.Sleep(kLookAgain);
  }
}

StateLocker& StateLocker::Real() {
  static auto* const locker = new FileLocker;
  return *locker;
}

}  // namespace certcast::node
