#include "tests/simulation/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <semaphore>
#include <thread>

namespace certcast::simulation {

struct Scheduler::Worker {
  std::binary_semaphore go{0};
  Task* task = nullptr;
  bool ends = false;
  std::thread thread;
};

struct Scheduler::Task {
  uint64_t number = 0;
  ProcessPtr process;
  std::function<void()> body;
  Worker* worker = nullptr;
  bool is_queued = false;
  Turn turn;
  // What it waits for, if anything.
  const void* waits_for = nullptr;
  bool is_notified = false;
};

namespace {

// Scheduler::Task*, but that is private.
thread_local void* running = nullptr;

}  // namespace

Scheduler::Scheduler(uint64_t seed) : dice_(seed), main_(std::make_unique<Worker>()) {
}

Scheduler::~Scheduler() {
  for (const std::unique_ptr<Worker>& worker : workers_) {
    worker->ends = true;
    worker->go.release();
    worker->thread.join();
  }
}

absl::Duration Scheduler::Now() const {
  const auto* self = static_cast<const Task*>(running);
  return self == nullptr ? now_ : now_ + self->process->ahead_;
}

const ProcessPtr& Scheduler::current() const {
  return static_cast<const Task*>(running)->process;
}

void Scheduler::Spawn(ProcessPtr process, std::function<void()> body) {
  if (is_ending_) process->is_alive_ = false;
  auto task = std::make_unique<Task>();
  task->number = ++tasks_made_;
  task->process = process;
  task->body = std::move(body);
  Queue(*task, now_);
  tasks_[task->number] = std::move(task);
  const auto same = [&](const std::weak_ptr<Process>& known) { return known.lock() == process; };
  if (std::none_of(processes_.begin(), processes_.end(), same)) processes_.push_back(process);
}

void Scheduler::Queue(Task& task, absl::Duration when) {
  Unqueue(task);
  task.turn = {when, dice_.Next(), task.number};
  task.is_queued = true;
  turns_[task.turn] = &task;
}

void Scheduler::Unqueue(Task& task) {
  if (task.is_queued) turns_.erase(task.turn);
  task.is_queued = false;
}

Scheduler::Task* Scheduler::Next() {
  while (!turns_.empty()) {
    Task& task = *turns_.begin()->second;
    Unqueue(task);
    const absl::Duration when = std::get<0>(task.turn);
    const Process& process = *task.process;
    if (process.is_alive_ && process.frozen_until_ > std::max(now_, when)) {
      Queue(task, process.frozen_until_);
      continue;
    }
    if (task.waits_for != nullptr) {
      waiting_.erase({task.waits_for, task.number});
      task.waits_for = nullptr;
    }
    now_ = std::max(now_, when);
    return &task;
  }
  return nullptr;
}

void Scheduler::EndSlice() {
  ++slices_;
  if (look_ && !is_ending_) look_();
}

void Scheduler::HandTo(Task* next) {
  if (next == nullptr) return main_->go.release();
  if (next->worker == nullptr) {
    if (idle_.empty()) {
      workers_.push_back(std::make_unique<Worker>());
      Worker& made = *workers_.back();
      made.thread = std::thread([this, &made] { Work(made); });
      idle_.push_back(&made);
    }
    next->worker = idle_.back();
    idle_.pop_back();
    next->worker->task = next;
  }
  next->worker->go.release();
}

void Scheduler::GiveWay(Task& self) {
  EndSlice();
  Task* const next = Next();
  if (next == &self) return;
  HandTo(next);
  self.worker->go.acquire();
}

void Scheduler::Work(Worker& worker) {
  while (true) {
    worker.go.acquire();
    if (worker.ends) return;
    bool has_baton = true;
    while (has_baton) {
      Task& task = *worker.task;
      running = &task;
      task.body();
      EndSlice();
      running = nullptr;
      tasks_.erase(task.number);
      Task* const next = Next();
      has_baton = next != nullptr && next->worker == nullptr;
      if (has_baton) {
        // On this very thread.
        next->worker = &worker;
        worker.task = next;
      } else {
        idle_.push_back(&worker);
        HandTo(next);
      }
    }
  }
}

bool Scheduler::Run() {
  bool all_ended = true;
  while (!tasks_.empty()) {
    Task* const next = Next();
    if (next == nullptr) {
      // Each waits for another.
      if (!all_ended) {
        std::fputs("simulation: dead processes wait for each other\n", stderr);
        std::abort();
      }
      all_ended = false;
      KillAll();
      for (auto& [number, task] : tasks_) Queue(*task, now_);
      continue;
    }
    HandTo(next);
    main_->go.acquire();
  }
  return all_ended;
}

void Scheduler::Sleep(absl::Duration duration) {
  auto* self = static_cast<Task*>(running);
  duration = std::max(duration, absl::ZeroDuration());
  if (self == nullptr) {
    now_ += duration;
    return;
  }
  if (!self->process->is_alive_) {
    self->process->ahead_ += duration;
    return;
  }
  Queue(*self, now_ + duration);
  GiveWay(*self);
}

bool Scheduler::Wait(const void* what, absl::Duration timeout) {
  auto& self = *static_cast<Task*>(running);
  if (timeout != absl::InfiniteDuration() && !self.process->is_alive_) {
    self.process->ahead_ += std::max(timeout, absl::ZeroDuration());
    return false;
  }
  Park(self, what, timeout);
  return self.is_notified;
}

void Scheduler::Park(Task& self, const void* what, absl::Duration timeout) {
  self.is_notified = false;
  self.waits_for = what;
  waiting_.insert({what, self.number});
  if (timeout != absl::InfiniteDuration()) Queue(self, now_ + std::max(timeout, absl::ZeroDuration()));
  GiveWay(self);
}

void Scheduler::Notify(const void* what) {
  for (auto at = waiting_.lower_bound({what, 0}); at != waiting_.end() && at->first == what; ++at) {
    Task& task = *tasks_.at(at->second);
    task.is_notified = true;
    Queue(task, now_);
  }
}

void Scheduler::Kill(Process& process) {
  if (!process.is_alive_) return;
  process.is_alive_ = false;
  for (auto& [number, task] : tasks_) {
    // All but the one that runs, unless that is about to give way.
    const bool waits = task->is_queued || task->waits_for != nullptr;
    if (task->process.get() == &process && waits) Queue(*task, now_);
  }
}

void Scheduler::Freeze(Process& process, absl::Duration duration) {
  process.frozen_until_ = std::max(process.frozen_until_, now_ + duration);
}

void Scheduler::KillAll() {
  is_ending_ = true;
  for (const std::weak_ptr<Process>& known : processes_) {
    if (const ProcessPtr process = known.lock(); process != nullptr) Kill(*process);
  }
}

void Scheduler::Run(size_t count, const std::function<void()>& body) {
  size_t left = count == 0 ? 0 : count - 1;
  for (size_t i = 0; i + 1 < count; ++i) {
    Spawn(current(), [this, &left, &body] {
      body();
      --left;
      Notify(&left);
    });
  }
  body();
  while (left > 0) Park(*static_cast<Task*>(running), &left, absl::InfiniteDuration());
}

void Scheduler::Wait(absl::CondVar& changed, absl::Mutex& mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  mutex.Unlock();
  Park(*static_cast<Task*>(running), &changed, absl::InfiniteDuration());
  mutex.Lock();
}

void Scheduler::SignalAll(absl::CondVar& changed) {
  Notify(&changed);
}

}  // namespace certcast::simulation
