#include "controller/cli/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace certcast::controller::cli {

Interrupt::Interrupt() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC);
  done_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { Watch(); });
}

Interrupt::~Interrupt() {
  const uint64_t one = 1;
  (void)!write(done_, &one, sizeof(one));
  thread_.join();
  close(signals_);
  close(done_);
}

void Interrupt::Watch() {
  while (true) {
    pollfd fds[] = {{signals_, POLLIN, 0}, {done_, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    signalfd_siginfo info;
    if (read(signals_, &info, sizeof(info)) == sizeof(info)) Signalled(static_cast<int>(info.ssi_signo));
  }
}

void Interrupt::Signalled(int signal) {
  absl::MutexLock lock(&mutex_);
  if (handler_ == nullptr) {
    (void)!write(STDERR_FILENO, last_words_.data(), last_words_.size());
    _exit(128 + signal);
  }
  // Called under the lock, so that ~Handler waits for it.
  std::exchange(handler_, nullptr)();
}

Interrupt::Handler::Handler(Interrupt& interrupt, std::function<void()> on_signal, std::string last_words)
    : interrupt_(interrupt) {
  absl::MutexLock lock(&interrupt_.mutex_);
  interrupt_.handler_ = std::move(on_signal);
  interrupt_.last_words_ = std::move(last_words);
}

Interrupt::Handler::~Handler() {
  absl::MutexLock lock(&interrupt_.mutex_);
  interrupt_.handler_ = nullptr;
  interrupt_.last_words_.clear();
}

}  // namespace certcast::controller::cli
