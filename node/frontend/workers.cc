#include "node/frontend/workers.h"

#include <system_error>
#include <utility>

namespace certcast::node {

Workers::Workers(size_t max_threads) : max_threads_(max_threads) {
  threads_.emplace_back([this] { Loop(); });
}

Workers::~Workers() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void Workers::Run(std::function<void()> work) {
  absl::MutexLock lock(&mutex_);
  queue_.push_back(std::move(work));
  if (queue_.size() > idle_ && threads_.size() < max_threads_) Grow();
}

void Workers::Grow() {
  try {
    threads_.emplace_back([this] { Loop(); });
  } catch (const std::system_error&) {
    // No more to be had (EAGAIN): those that are there do the work.
  }
}

void Workers::Loop() {
  while (true) {
    std::function<void()> work;
    {
      absl::MutexLock lock(&mutex_);
      ++idle_;
      mutex_.Await(absl::Condition(this, &Workers::HasSomething));
      --idle_;
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace certcast::node
