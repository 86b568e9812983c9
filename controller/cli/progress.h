// Long work, shown while it goes on.
#ifndef CERTCAST_CONTROLLER_CLI_PROGRESS_H_
#define CERTCAST_CONTROLLER_CLI_PROGRESS_H_

#include <ostream>
#include <string>

#include "certcast/v1/api.pb.h"

namespace certcast::controller::cli {

// On a terminal: a line per wave with a bar, counts and the slowest nodes, redrawn in place. Elsewhere: plain lines, at
// the start and end of a wave and at each tenth of it, so that a log of ten thousand nodes stays short. Not
// thread-safe.
class ProgressView {
 public:
  // `columns`: of the terminal; a redrawn line is cut there.
  ProgressView(std::ostream& err, bool terminal, int columns) : err_(err), terminal_(terminal), columns_(columns) {}
  // Ends a line that is still open.
  ~ProgressView() { EndLine(); }
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  void Show(const v1::ApplyEvent::Progress& progress);

 private:
  void ShowBar(const v1::ApplyEvent::Progress& progress);
  void ShowPlainWave(const v1::ApplyEvent::Progress& progress);
  void Line(const std::string& text);
  void EndLine();

  std::ostream& err_;
  const bool terminal_;
  const int columns_;
  // A redrawn line is open.
  bool open_ = false;
  // What the last bar or plain line was about.
  std::string wave_;
  int tenths_ = -1;
};

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_PROGRESS_H_
