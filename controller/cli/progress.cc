#include "controller/cli/progress.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace certcast::controller::cli {
namespace {

using Progress = v1::ApplyEvent::Progress;

constexpr absl::Duration kRedraw = absl::Milliseconds(100);
constexpr absl::Duration kTick = absl::Milliseconds(250);
constexpr absl::Duration kPlainLine = absl::Seconds(10);
constexpr absl::Duration kPlainLineOfNothing = absl::Minutes(1);
// Before that a rate says nothing.
constexpr absl::Duration kRateAfter = absl::Seconds(1);
constexpr int kShortestBar = 10;
constexpr int kLongestBar = 30;

std::string Title(const Progress& progress) {
  switch (progress.phase()) {
    case Progress::REVERTING:
      return absl::StrCat(progress.certificate(), ": reverting");
    case Progress::ASKING:
      return "asking the nodes";
    case Progress::LOOKING:
      return "looking at the endpoints";
    default:
      return absl::StrCat(progress.certificate(), ": wave ", progress.wave(), "/", progress.waves());
  }
}

bool IsCounted(const Progress& progress) {
  switch (progress.phase()) {
    case Progress::WAVE:
    case Progress::REVERTING:
    case Progress::ASKING:
    case Progress::LOOKING:
      return progress.size() > 0;
    default:
      return false;
  }
}

std::string What(const Progress& progress) {
  return absl::StrCat(progress.rollout_id(), " ", progress.phase(), " ", progress.wave());
}

bool SameCounts(const Progress& a, const Progress& b) {
  return a.size() == b.size() && a.done() == b.done() && a.failed() == b.failed() && a.in_flight() == b.in_flight();
}

}  // namespace

std::string ShowElapsed(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < 10) return absl::StrFormat("%.1fs", std::max(0.0, absl::ToDoubleSeconds(duration)));
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
}

ProgressView::ProgressView(std::ostream& err, bool terminal, std::function<int()> columns, bool colour, Clock& clock)
    : err_(err), terminal_(terminal), colour_(terminal && colour), columns_(std::move(columns)), clock_(clock) {
}

ProgressView::~ProgressView() {
  EndCounts();
}

void ProgressView::Show(const Progress& progress) {
  if (IsCounted(progress)) return ShowCounts(progress);
  if (progress.phase() != Progress::NOTE) EndCounts();
  if (progress.phase() == Progress::SOAKING) {
    return Line(absl::StrCat(Title(progress), ": ", progress.text().empty() ? "soaking" : progress.text()));
  }
  if (progress.text().empty()) return;
  Line(progress.certificate().empty() ? progress.text() : absl::StrCat(progress.certificate(), ": ", progress.text()));
}

void ProgressView::Line(const std::string& text) {
  Erase();
  err_ << text << "\n" << std::flush;
  if (terminal_ && !what_.empty()) Draw();
}

void ProgressView::Tick() {
  if (what_.empty()) return;
  if (!terminal_) return MaybePlainLine();
  if (fresh_ || clock_.Monotonic() - shown_ >= kTick) Draw();
}

void ProgressView::ShowCounts(const Progress& progress) {
  const std::string what = What(progress);
  // After the last word there is nothing more to say of it.
  if (what == ended_) return;
  if (what != what_) BeginCounts(what, progress);
  fresh_ = fresh_ || !SameCounts(now_, progress);
  now_ = progress;
  came_ = clock_.Monotonic();
  if (IsComplete()) return EndCounts();
  if (!terminal_) return MaybePlainLine();
  if (!open_ || came_ - shown_ >= kRedraw) Draw();
}

void ProgressView::BeginCounts(const std::string& what, const Progress& progress) {
  EndCounts();
  what_ = what;
  now_ = progress;
  before_ = Finished();
  began_ = clock_.Monotonic();
  shown_ = began_;
  fresh_ = true;
}

void ProgressView::EndCounts() {
  if (what_.empty()) return;
  if (terminal_) {
    Draw();
    err_ << "\n";
  } else if (fresh_ || IsComplete()) {
    err_ << Ended() << "\n";
  }
  if (now_.failed() > 0 && !now_.failing().empty()) {
    const int more = now_.failed() - now_.failing_size();
    err_ << "  failed or unreachable: " << absl::StrJoin(now_.failing(), ", ");
    if (more > 0) err_ << " and " << more << " more";
    err_ << "\n";
  }
  err_ << std::flush;
  open_ = false;
  fresh_ = false;
  ended_ = std::exchange(what_, "");
}

// Whatever has no room is left out as a whole, so that no number is cut in the middle.
void ProgressView::Draw() {
  const int room = std::max(columns_() - 1, 1);
  const std::string counts = absl::StrCat(" ", Counts());
  std::string drawn = Title(now_);
  std::string line = drawn;
  const int bar = std::min({room / 4, kLongestBar, room - static_cast<int>(line.size() + counts.size()) - 3});
  if (bar >= kShortestBar) {
    absl::StrAppend(&drawn, " [", Bar(bar), "]");
    line.append(static_cast<size_t>(bar) + 3, ' ');
  }
  absl::StrAppend(&drawn, counts);
  line += counts;
  const auto add = [&](const std::string& part) {
    if (part.empty() || static_cast<int>(line.size() + part.size()) + 2 > room) return false;
    absl::StrAppend(&drawn, "  ", part);
    line.append(part.size() + 2, ' ');
    return true;
  };
  add(IsComplete() ? absl::StrCat("took ", ShowElapsed(clock_.Monotonic() - began_)) : Pace());
  for (size_t names = 3; names > 0 && !IsComplete() && !add(Slowest(names)); --names) {
  }
  if (static_cast<int>(line.size()) > room) drawn = line.substr(0, static_cast<size_t>(room));
  if (colour_ && now_.failed() > 0) {
    const std::string failed = absl::StrCat(now_.failed(), " failed");
    const size_t at = drawn.find(failed);
    if (at != std::string::npos)
      drawn = absl::StrCat(drawn.substr(0, at), "\x1b[31m", failed, "\x1b[0m", drawn.substr(at + failed.size()));
  }
  err_ << "\r" << drawn << "\x1b[K" << std::flush;
  open_ = true;
  fresh_ = false;
  shown_ = clock_.Monotonic();
}

void ProgressView::Erase() {
  if (open_) err_ << "\r\x1b[K";
  open_ = false;
}

void ProgressView::MaybePlainLine() {
  const absl::Duration quiet = clock_.Monotonic() - shown_;
  if (quiet < (fresh_ ? kPlainLine : kPlainLineOfNothing)) return;
  std::vector<std::string> parts = {absl::StrCat(Title(now_), ": ", Counts())};
  for (std::string part : {Pace(), Slowest(3)}) {
    if (!part.empty()) parts.push_back(std::move(part));
  }
  err_ << absl::StrJoin(parts, ", ") << "\n" << std::flush;
  fresh_ = false;
  shown_ = clock_.Monotonic();
}

std::string ProgressView::Counts() const {
  std::string text = absl::StrCat(now_.done(), "/", now_.size());
  if (now_.failed() > 0) absl::StrAppend(&text, ", ", now_.failed(), " failed");
  if (now_.in_flight() > 0) absl::StrAppend(&text, ", ", now_.in_flight(), " at work");
  return text;
}

std::string ProgressView::Bar(int width) const {
  const int64_t finished = std::min(Finished(), now_.size());
  const auto filled = static_cast<size_t>(width * finished / now_.size());
  const std::string done(filled, '#');
  return absl::StrCat(colour_ ? "\x1b[32m" : "", done, colour_ ? "\x1b[0m" : "",
                      std::string(static_cast<size_t>(width) - filled, '.'));
}

std::string ProgressView::Pace() const {
  const absl::Duration elapsed = clock_.Monotonic() - began_;
  const int finished = Finished() - before_;
  const int left = now_.size() - Finished();
  if (elapsed < kRateAfter || finished <= 0 || left <= 0) return "";
  const double rate = finished / absl::ToDoubleSeconds(elapsed);
  return absl::StrFormat("%.*f/s, %s left", rate < 10 ? 1 : 0, rate,
                         ShowElapsed(elapsed * (static_cast<double>(left) / finished)));
}

std::string ProgressView::Slowest(size_t names) const {
  const absl::Duration since = clock_.Monotonic() - came_;
  std::vector<std::string> slowest;
  for (int i = 0; i < now_.slowest_size() && slowest.size() < names; ++i) {
    slowest.push_back(now_.slowest(i));
    if (i < now_.slowest_ms_size()) {
      absl::StrAppend(&slowest.back(), " ", ShowElapsed(absl::Milliseconds(now_.slowest_ms(i)) + since));
    }
  }
  return slowest.empty() ? "" : absl::StrCat("slowest ", absl::StrJoin(slowest, ", "));
}

std::string ProgressView::Ended() const {
  const absl::Duration elapsed = clock_.Monotonic() - began_;
  std::string text = absl::StrCat(Title(now_), ": ", Counts());
  if (!IsComplete()) return text;
  absl::StrAppend(&text, ", took ", ShowElapsed(elapsed));
  const double seconds = absl::ToDoubleSeconds(elapsed);
  if (elapsed >= kRateAfter) absl::StrAppend(&text, absl::StrFormat(" (%.0f/s)", (Finished() - before_) / seconds));
  return text;
}

bool ProgressView::IsComplete() const {
  return Finished() >= now_.size() && now_.in_flight() == 0;
}

LiveProgress::LiveProgress(std::ostream& err, bool terminal, std::function<int()> columns, bool colour)
    : view_(err, terminal, std::move(columns), colour), thread_([this] { Run(); }) {
}

LiveProgress::~LiveProgress() {
  {
    absl::MutexLock lock(&mutex_);
    ends_ = true;
    ending_.Signal();
  }
  thread_.join();
}

void LiveProgress::Show(const Progress& progress) {
  absl::MutexLock lock(&mutex_);
  view_.Show(progress);
}

void LiveProgress::Line(const std::string& text) {
  absl::MutexLock lock(&mutex_);
  view_.Line(text);
}

void LiveProgress::Run() {
  absl::MutexLock lock(&mutex_);
  while (!ends_) {
    ending_.WaitWithTimeout(&mutex_, kTick);
    view_.Tick();
  }
}

}  // namespace certcast::controller::cli
