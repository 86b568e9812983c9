#include "controller/rollout/threads.h"

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace certcast::controller {
namespace {

class SystemThreads final : public Threads {
 public:
  void Run(size_t count, const std::function<void()>& body) override {
    std::vector<std::thread> others;
    try {
      while (others.size() + 1 < count) others.emplace_back(body);
    } catch (const std::system_error&) {
      // No more to be had (EAGAIN): those that are there do the work.
    }
    body();
    for (std::thread& other : others) other.join();
  }
  void Wait(absl::CondVar& changed, absl::Mutex& mutex) override { changed.Wait(&mutex); }
  void SignalAll(absl::CondVar& changed) override { changed.SignalAll(); }
};

std::atomic<Threads*> replacement{nullptr};

}  // namespace

Threads& Threads::Get() {
  static SystemThreads* const system = new SystemThreads;
  Threads* const replaced = replacement.load();
  return replaced == nullptr ? *system : *replaced;
}

void Threads::Replace(Threads* threads) {
  replacement = threads;
}

}  // namespace certcast::controller
