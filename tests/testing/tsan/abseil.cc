// Tells the thread sanitizer of what Abseil's locks order.
//
// Debian's Abseil is built without the sanitizer, which therefore sees no lock being taken, and takes for a race
// whatever one protects. The functions below stand in front of those of the shared library, for our code, Abseil's own
// calls and gRPC alike, and annotate them as Abseil does itself when it is built for the sanitizer
// (absl/base/internal/tsan_mutex_interface.h). What runs between pre_lock and post_lock, as conditions of other threads
// do, is not looked at.
//
// Only for a test's program that is linked with Abseil's shared libraries. Names are of Debian 12's Abseil 20220623.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>

#include "absl/base/casts.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace absl {
namespace {

constexpr intptr_t kMuWriter = 0x8;  // of Mutex::mu_: held exclusively

// The function of that name in the shared library. Found when it is first called: locks are taken before any
// initializer of ours has run.
template <typename Function>
class Real {
 public:
  constexpr explicit Real(const char* symbol) : symbol_(symbol) {}

  Function* get() {
    void* function = function_.load(std::memory_order_relaxed);
    if (function == nullptr) {
      function = dlsym(RTLD_NEXT, symbol_);
      if (function == nullptr) {
        std::fprintf(stderr, "tsan: Abseil has no %s\n", symbol_);
        std::abort();
      }
      function_.store(function, std::memory_order_relaxed);
    }
    return reinterpret_cast<Function*>(function);
  }

 private:
  const char* symbol_;
  std::atomic<void*> function_ = nullptr;
};

using synchronization_internal::KernelTimeout;

constinit Real<void(Mutex*)> destroy("_ZN4absl7debian35MutexD1Ev");
constinit Real<void(Mutex*)> lock("_ZN4absl7debian35Mutex4LockEv");
constinit Real<void(Mutex*)> unlock("_ZN4absl7debian35Mutex6UnlockEv");
constinit Real<bool(Mutex*)> try_lock("_ZN4absl7debian35Mutex7TryLockEv");
constinit Real<void(Mutex*)> reader_lock("_ZN4absl7debian35Mutex10ReaderLockEv");
constinit Real<void(Mutex*)> reader_unlock("_ZN4absl7debian35Mutex12ReaderUnlockEv");
constinit Real<bool(Mutex*)> reader_try_lock("_ZN4absl7debian35Mutex13ReaderTryLockEv");
constinit Real<void(Mutex*, const Condition&)> lock_when("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE");
constinit Real<bool(Mutex*, const Condition&, Time)> lock_when_with_deadline(
    "_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
constinit Real<void(Mutex*, const Condition&)> reader_lock_when(
    "_ZN4absl7debian35Mutex14ReaderLockWhenERKNS0_9ConditionE");
constinit Real<bool(Mutex*, const Condition&, Time)> reader_lock_when_with_deadline(
    "_ZN4absl7debian35Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
constinit Real<bool(Mutex*, const Condition&, KernelTimeout)> await_common(
    "_ZN4absl7debian35Mutex11AwaitCommonERKNS0_9ConditionENS0_24synchronization_internal13KernelTimeoutE");
constinit Real<bool(CondVar*, Mutex*, KernelTimeout)> wait_common(
    "_ZN4absl7debian37CondVar10WaitCommonEPNS0_5MutexENS0_24synchronization_internal13KernelTimeoutE");
constinit Real<void(Notification*)> notify("_ZN4absl7debian312Notification6NotifyEv");
constinit Real<void(const Notification*)> wait_for_notification(
    "_ZNK4absl7debian312Notification19WaitForNotificationEv");
constinit Real<bool(const Notification*, Duration)> wait_for_notification_with_timeout(
    "_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
constinit Real<bool(const Notification*, Time)> wait_for_notification_with_deadline(
    "_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
constinit Real<void(uintptr_t)> unref("_ZN4absl7debian36Status15UnrefNonInlinedEm");

unsigned HeldHow(const Mutex* mutex) {
  const auto word = reinterpret_cast<const std::atomic<intptr_t>*>(mutex)->load(std::memory_order_relaxed);
  return (word & kMuWriter) != 0 ? 0 : __tsan_mutex_read_lock;
}

template <typename Call>
auto Locking(Mutex* mutex, unsigned how, const Call& call) {
  __tsan_mutex_pre_lock(mutex, how);
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    __tsan_mutex_post_lock(mutex, how, 0);
  } else {
    const bool result = call();
    const bool failed = (how & __tsan_mutex_try_lock) != 0 && !result;
    __tsan_mutex_post_lock(mutex, failed ? how | __tsan_mutex_try_lock_failed : how, 0);
    return result;
  }
}

void Unlocking(Mutex* mutex, unsigned how, Real<void(Mutex*)>& real) {
  __tsan_mutex_pre_unlock(mutex, how);
  real.get()(mutex);
  __tsan_mutex_post_unlock(mutex, how);
}

// Gives the lock up and takes it again.
template <typename Call>
bool Waiting(Mutex* mutex, const Call& call) {
  const unsigned how = HeldHow(mutex);
  __tsan_mutex_pre_unlock(mutex, how);
  __tsan_mutex_post_unlock(mutex, how);
  return Locking(mutex, how, call);
}

}  // namespace

ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
  destroy.get()(this);
}

void Mutex::Lock() {
  Locking(this, 0, [&] { lock.get()(this); });
}
void Mutex::Unlock() {
  Unlocking(this, 0, unlock);
}
bool Mutex::TryLock() {
  return Locking(this, __tsan_mutex_try_lock, [&] { return try_lock.get()(this); });
}
void Mutex::ReaderLock() {
  Locking(this, __tsan_mutex_read_lock, [&] { reader_lock.get()(this); });
}
void Mutex::ReaderUnlock() {
  Unlocking(this, __tsan_mutex_read_lock, reader_unlock);
}
bool Mutex::ReaderTryLock() {
  return Locking(this, __tsan_mutex_read_lock | __tsan_mutex_try_lock, [&] { return reader_try_lock.get()(this); });
}
void Mutex::LockWhen(const Condition& condition) {
  Locking(this, 0, [&] { lock_when.get()(this, condition); });
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  return Locking(this, 0, [&] { return lock_when_with_deadline.get()(this, condition, deadline); });
}
void Mutex::ReaderLockWhen(const Condition& condition) {
  Locking(this, __tsan_mutex_read_lock, [&] { reader_lock_when.get()(this, condition); });
}
bool Mutex::ReaderLockWhenWithDeadline(const Condition& condition, Time deadline) {
  return Locking(this, __tsan_mutex_read_lock,
                 [&] { return reader_lock_when_with_deadline.get()(this, condition, deadline); });
}
// Of Await, AwaitWithTimeout and AwaitWithDeadline, where the condition does not hold yet.
bool Mutex::AwaitCommon(const Condition& condition, KernelTimeout timeout) {
  return Waiting(this, [&] { return await_common.get()(this, condition, timeout); });
}

// Of Wait, WaitWithTimeout and WaitWithDeadline.
bool CondVar::WaitCommon(Mutex* mutex, KernelTimeout timeout) {
  return Waiting(mutex, [&] { return wait_common.get()(this, mutex, timeout); });
}

// Beside its lock it has a flag, which is looked at first.
void Notification::Notify() {
  __tsan_release(this);
  notify.get()(this);
}
void Notification::WaitForNotification() const {
  wait_for_notification.get()(this);
  __tsan_acquire(const_cast<Notification*>(this));
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  const bool notified = wait_for_notification_with_timeout.get()(this, timeout);
  if (notified) __tsan_acquire(const_cast<Notification*>(this));
  return notified;
}
bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  const bool notified = wait_for_notification_with_deadline.get()(this, deadline);
  if (notified) __tsan_acquire(const_cast<Notification*>(this));
  return notified;
}

// The last of several owners frees what all have read.
void Status::UnrefNonInlined(uintptr_t rep) {
  void* const shared = absl::bit_cast<void*>(rep);
  __tsan_release(shared);
  __tsan_acquire(shared);
  unref.get()(rep);
}

ABSL_NAMESPACE_END
}  // namespace absl
