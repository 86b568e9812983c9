// Processes and pid files that aren't there.
#ifndef CERTCAST_TESTS_TESTING_FAKE_SIGNALLER_H_
#define CERTCAST_TESTS_TESTING_FAKE_SIGNALLER_H_

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "node/engine/signaller.h"

namespace certcast::testing {

// Thread-compatible. What a test said nothing about is refused as a pid file that is missing is.
class FakeSignaller final : public node::Signaller {
 public:
  using Process = std::function<absl::Status(int signal)>;

  void On(const std::string& pid_file, Process process) { processes_[pid_file] = std::move(process); }

  absl::Status Signal(const std::string& pid_file, int signal) override {
    const auto found = processes_.find(pid_file);
    if (found == processes_.end()) return Fail(Reason::RELOAD_FAILED, absl::StrCat(pid_file, " is not there"));
    return found->second(signal);
  }

 private:
  std::map<std::string, Process> processes_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_SIGNALLER_H_
