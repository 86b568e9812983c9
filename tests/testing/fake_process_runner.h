// Programs that aren't there: each command line ends as the test says.
//
//   FakeProcessRunner processes;
//   processes.On({"nginx", "-t"}, FakeProcessRunner::Exits(1, "unknown directive"));
//   processes.On({"nginx", "-s", "reload"}, [&](const ProcessRequest&) { ...; return FakeProcessRunner::Exits(0); });
#ifndef CERTCAST_TESTS_TESTING_FAKE_PROCESS_RUNNER_H_
#define CERTCAST_TESTS_TESTING_FAKE_PROCESS_RUNNER_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/process/process.h"

namespace certcast::testing {

// Thread-safe. A command that the test said nothing about fails as a program that is not installed does.
class FakeProcessRunner final : public ProcessRunner {
 public:
  using Program = std::function<absl::StatusOr<ProcessResult>(const ProcessRequest&)>;

  static ProcessResult Exits(int code, absl::string_view error = "", absl::string_view output = "");
  // Ran into the request's timeout.
  static ProcessResult Hangs();

  // From now on, for this exact argv; replaces what was said before. A Program runs without any lock held.
  void On(std::vector<std::string> argv, ProcessResult result);
  void On(std::vector<std::string> argv, Program program);
  // For every argv that On doesn't name.
  void Otherwise(Program program);

  absl::StatusOr<ProcessResult> Run(const ProcessRequest& request) override;

  // All requests, in order, those that could not be started too.
  std::vector<ProcessRequest> requests() const;
  int CountOf(const std::vector<std::string>& argv) const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::vector<std::string>, Program> programs_ ABSL_GUARDED_BY(mutex_);
  Program otherwise_ ABSL_GUARDED_BY(mutex_);
  std::vector<ProcessRequest> requests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_PROCESS_RUNNER_H_
