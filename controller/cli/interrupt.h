// SIGINT and SIGTERM, as calls on a thread of their own.
#ifndef CERTCAST_CONTROLLER_CLI_INTERRUPT_H_
#define CERTCAST_CONTROLLER_CLI_INTERRUPT_H_

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace certcast::controller::cli {

// Made once, first thing in main, before any other thread: it blocks the signals for all of them. A signal ends the
// process at once, unless a Handler lives: then the first one calls it, and the second ends the process, with its last
// words on standard error.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // At most one at a time. `on_signal` is called on another thread, at most once, and never after the destructor; a
  // second signal is looked at once it has returned.
  class Handler {
   public:
    Handler(Interrupt& interrupt, std::function<void()> on_signal, std::string last_words = "");
    ~Handler();
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

   private:
    Interrupt& interrupt_;
  };

 private:
  void Watch();
  void Signalled(int signal);

  int signals_;
  int done_;
  absl::Mutex mutex_;
  std::function<void()> handler_ ABSL_GUARDED_BY(mutex_);
  std::string last_words_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_INTERRUPT_H_
