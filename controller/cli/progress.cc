#include "controller/cli/progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace certcast::controller::cli {
namespace {

using Progress = v1::ApplyEvent::Progress;

std::string WaveTitle(const Progress& progress) {
  if (progress.phase() == Progress::REVERTING) return absl::StrCat(progress.certificate(), ": reverting");
  return absl::StrCat(progress.certificate(), ": wave ", progress.wave(), "/", progress.waves());
}

std::string Counts(const Progress& progress) {
  std::string text = absl::StrCat(progress.done(), "/", progress.size());
  if (progress.failed() > 0) absl::StrAppend(&text, ", ", progress.failed(), " failed");
  if (progress.in_flight() > 0) absl::StrAppend(&text, ", ", progress.in_flight(), " at work");
  return text;
}

}  // namespace

void ProgressView::Show(const Progress& progress) {
  switch (progress.phase()) {
    case Progress::WAVE:
    case Progress::REVERTING:
      if (progress.size() == 0) return;
      return terminal_ ? ShowBar(progress) : ShowPlainWave(progress);
    case Progress::SOAKING:
      return Line(absl::StrCat(WaveTitle(progress), ": ", progress.text().empty() ? "soaking" : progress.text()));
    default:
      if (progress.text().empty()) return;
      return Line(progress.certificate().empty() ? progress.text()
                                                 : absl::StrCat(progress.certificate(), ": ", progress.text()));
  }
}

void ProgressView::ShowBar(const Progress& progress) {
  constexpr int kWidth = 24;
  const std::string wave = absl::StrCat(progress.rollout_id(), WaveTitle(progress));
  if (wave != wave_) EndLine();
  wave_ = wave;
  const int finished = std::min(progress.done() + progress.failed(), progress.size());
  const int filled = kWidth * finished / progress.size();
  std::string line = absl::StrCat(WaveTitle(progress), " [", std::string(filled, '#'),
                                  std::string(kWidth - filled, '.'), "] ", Counts(progress));
  if (!progress.slowest().empty()) absl::StrAppend(&line, "  slowest: ", absl::StrJoin(progress.slowest(), " "));
  if (static_cast<int>(line.size()) >= columns_) line.resize(std::max(columns_ - 1, 1));
  err_ << "\r" << line << "\x1b[K" << std::flush;
  open_ = true;
  if (finished == progress.size() && progress.in_flight() == 0) EndLine();
}

void ProgressView::ShowPlainWave(const Progress& progress) {
  const std::string wave = absl::StrCat(progress.rollout_id(), WaveTitle(progress));
  const int tenths = 10 * (progress.done() + progress.failed()) / progress.size();
  if (wave == wave_ && tenths == tenths_) return;
  wave_ = wave;
  tenths_ = tenths;
  Line(absl::StrCat(WaveTitle(progress), ": ", Counts(progress)));
}

void ProgressView::Line(const std::string& text) {
  EndLine();
  err_ << text << "\n" << std::flush;
}

void ProgressView::EndLine() {
  if (open_) err_ << "\n" << std::flush;
  open_ = false;
}

}  // namespace certcast::controller::cli
