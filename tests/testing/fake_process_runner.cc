#include "tests/testing/fake_process_runner.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::testing {

ProcessResult FakeProcessRunner::Exits(int code, absl::string_view error, absl::string_view output) {
  ProcessResult result;
  result.exit_code = code;
  result.error = std::string(error);
  result.output = std::string(output);
  return result;
}

ProcessResult FakeProcessRunner::Hangs() {
  ProcessResult result;
  result.signal = SIGTERM;
  result.timed_out = true;
  return result;
}

void FakeProcessRunner::On(std::vector<std::string> argv, ProcessResult result) {
  On(std::move(argv), [result = std::move(result)](const ProcessRequest&) { return result; });
}

void FakeProcessRunner::On(std::vector<std::string> argv, Program program) {
  const absl::MutexLock lock(&mutex_);
  programs_[std::move(argv)] = std::move(program);
}

void FakeProcessRunner::Otherwise(Program program) {
  const absl::MutexLock lock(&mutex_);
  otherwise_ = std::move(program);
}

absl::StatusOr<ProcessResult> FakeProcessRunner::Run(const ProcessRequest& request) {
  Program program;
  {
    const absl::MutexLock lock(&mutex_);
    requests_.push_back(request);
    const auto found = programs_.find(request.argv);
    program = found == programs_.end() ? otherwise_ : found->second;
  }
  if (!program) {
    return FailErrno(ENOENT, absl::StrCat("running ", request.argv.empty() ? "" : request.argv[0]),
                     "the test said nothing about it");
  }
  absl::StatusOr<ProcessResult> result = program(request);
  if (result.ok() && result->timed_out) result->allowed = request.timeout;
  return result;
}

std::vector<ProcessRequest> FakeProcessRunner::requests() const {
  const absl::MutexLock lock(&mutex_);
  return requests_;
}

int FakeProcessRunner::CountOf(const std::vector<std::string>& argv) const {
  const absl::MutexLock lock(&mutex_);
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(),
                                        [&](const ProcessRequest& request) { return request.argv == argv; }));
}

}  // namespace certcast::testing
