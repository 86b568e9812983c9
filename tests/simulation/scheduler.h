// Virtual time, and which of many threads goes on when: one at a time, as the seed says.
//
// Product code blocks, so each task has a thread of the system's. Only one of them runs; it goes on until it sleeps or
// waits here, and hands over to the next. So nothing may be waited for elsewhere, and no lock that another task may
// want is held across a call of Sleep or Wait.
#ifndef CERTCAST_TESTS_SIMULATION_SCHEDULER_H_
#define CERTCAST_TESTS_SIMULATION_SCHEDULER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "controller/rollout/threads.h"
#include "tests/simulation/dice.h"

namespace certcast::simulation {

// What dies as a whole. A dead one's tasks run to their end without time going by for others: whoever gives them access
// to the world looks at is_alive first, and gives them none.
class Process {
 public:
  explicit Process(std::string name) : name_(std::move(name)) {}
  const std::string& name() const { return name_; }
  bool is_alive() const { return is_alive_; }

 private:
  friend class Scheduler;
  const std::string name_;
  bool is_alive_ = true;
  // By which its own time is ahead since it died.
  absl::Duration ahead_;
  absl::Duration frozen_until_;
};
using ProcessPtr = std::shared_ptr<Process>;

// All calls but Run come from the task that runs, or before Run.
class Scheduler final : public controller::Threads {
 public:
  explicit Scheduler(uint64_t seed);
  ~Scheduler() override;

  // Called each time a task gives way.
  void AfterEachSlice(std::function<void()> look) { look_ = std::move(look); }

  void Spawn(ProcessPtr process, std::function<void()> body);
  // Until every task has ended. False when some were left that nobody would ever have woken: all are killed then.
  bool Run();

  // Since the start.
  absl::Duration Now() const;
  // That of the task that runs.
  const ProcessPtr& current() const;

  void Sleep(absl::Duration duration);
  // False: `timeout` is over, or the process dead. Others may wake it without cause.
  bool Wait(const void* what, absl::Duration timeout);
  void Notify(const void* what);

  void Kill(Process& process);
  // SIGSTOP: none of its tasks goes on before then.
  void Freeze(Process& process, absl::Duration duration);
  // Kills every process that there is or will be, so that Run ends soon.
  void KillAll();
  bool is_ending() const { return is_ending_; }

  // controller::Threads.
  void Run(size_t count, const std::function<void()>& body) override;
  void Wait(absl::CondVar& changed, absl::Mutex& mutex) override;
  void SignalAll(absl::CondVar& changed) override;

  int64_t slices() const { return slices_; }

 private:
  friend class Crew;
  struct Task;
  struct Worker;
  // When, a number from the dice, the task's own number.
  using Turn = std::tuple<absl::Duration, uint64_t, uint64_t>;

  void Queue(Task& task, absl::Duration when);
  void Unqueue(Task& task);
  // The task that runs next, with time moved on to it; nullptr: none is left that could.
  Task* Next();
  void EndSlice();
  // From the current task to the next one; returns when it is this one's turn again.
  void GiveWay(Task& self);
  void HandTo(Task* next);
  void Park(Task& self, const void* what, absl::Duration timeout);
  void Work(Worker& worker);

  Dice dice_;
  std::function<void()> look_;
  absl::Duration now_;
  int64_t slices_ = 0;
  uint64_t tasks_made_ = 0;
  bool is_ending_ = false;
  std::map<uint64_t, std::unique_ptr<Task>> tasks_;
  std::map<Turn, Task*> turns_;
  std::set<std::pair<const void*, uint64_t>> waiting_;
  std::vector<std::weak_ptr<Process>> processes_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;
  std::unique_ptr<Worker> main_;
};

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_SCHEDULER_H_
