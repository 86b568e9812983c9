// Long work, shown while it goes on.
#ifndef CERTCAST_CONTROLLER_CLI_PROGRESS_H_
#define CERTCAST_CONTROLLER_CLI_PROGRESS_H_

#include <functional>
#include <ostream>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "certcast/v1/api.pb.h"
#include "common/clock/clock.h"

namespace certcast::controller::cli {

// On a terminal: one line a wave with a bar, counts, how long it will take and the slowest nodes, redrawn in place, as
// wide as the terminal is then. Elsewhere: plain lines, at the end of a wave, and before that when something changed
// but no more than one in 10 s, so that a log of ten thousand nodes stays short; and one in a minute where nothing
// changes. Nodes that fail are lines of their own: the controller sends the first of them. Not thread-safe.
class ProgressView {
 public:
  // `columns`: of the terminal, asked for each line. `colour` is for terminals alone. `clock` outlives it.
  ProgressView(std::ostream& err, bool terminal, std::function<int()> columns, bool colour = false,
               Clock& clock = Clock::Real());
  // Ends a line that is still open.
  ~ProgressView();
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  void Show(const v1::ApplyEvent::Progress& progress);
  // A line of its own.
  void Line(const std::string& text);
  // To be called a few times a second: shows what changed by time alone.
  void Tick();

 private:
  using Progress = v1::ApplyEvent::Progress;

  void ShowCounts(const Progress& progress);
  void BeginCounts(const std::string& what, const Progress& progress);
  // The last word on the counts that are under way, if any.
  void EndCounts();
  void Draw();
  void Erase();
  // When there is something new to say, and the last line is long enough ago.
  void MaybePlainLine();
  // What the counts say, as parts of a line; the first few are always shown, the others where there is room.
  std::string Counts() const;
  std::string Bar(int width) const;
  std::string Pace() const;
  std::string Slowest(size_t names) const;
  std::string Ended() const;
  bool IsComplete() const;
  int Finished() const { return now_.done() + now_.failed(); }

  std::ostream& err_;
  const bool terminal_;
  const bool colour_;
  const std::function<int()> columns_;
  Clock& clock_;

  // What is counted now: the wave of a rollout; empty: nothing, or it has ended.
  std::string what_;
  // What was counted last.
  std::string ended_;
  Progress now_;
  // By the monotonic clock: when it began, when `now_` came, when it was shown last.
  absl::Duration began_;
  absl::Duration came_;
  absl::Duration shown_;
  // That had ended when it began.
  int before_ = 0;
  // `now_` was not shown yet.
  bool fresh_ = false;
  // A redrawn line is on the screen.
  bool open_ = false;
};

// The same, from any thread, with a thread of its own that ticks.
class LiveProgress {
 public:
  LiveProgress(std::ostream& err, bool terminal, std::function<int()> columns, bool colour);
  ~LiveProgress();
  LiveProgress(const LiveProgress&) = delete;
  LiveProgress& operator=(const LiveProgress&) = delete;

  void Show(const v1::ApplyEvent::Progress& progress);
  void Line(const std::string& text);

 private:
  void Run();

  absl::Mutex mutex_;
  ProgressView view_ ABSL_GUARDED_BY(mutex_);
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  absl::CondVar ending_;
  std::thread thread_;
};

// "45s", "3m20s", "1h05m"; below 10 s with a tenth.
std::string ShowElapsed(absl::Duration duration);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_PROGRESS_H_
