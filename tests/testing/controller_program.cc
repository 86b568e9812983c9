#include "tests/testing/controller_program.h"

#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr char kCertcast[] = "controller/certcast";

// Tests run in the root of their runfiles.
std::string Installed(const std::string& program) {
  return std::filesystem::absolute(program).string();
}

std::string NextBase(const std::string& captured) {
  static std::atomic<int> number = 0;
  return absl::StrCat(captured, "/", ++number);
}

std::vector<std::string> WithConfig(const std::string& config, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--config", config});
  return arguments;
}

std::vector<std::string> AsJson(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-o", "json"});
  return arguments;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const CommandResult& result) {
  return out << "exit code " << result.exit_code << "\nstdout: " << result.out << "\nstderr: " << result.err;
}

absl::StatusOr<std::unique_ptr<RunningCommand>> RunningCommand::Start(const std::string& captured,
                                                                      const std::string& program,
                                                                      std::vector<std::string> arguments,
                                                                      absl::string_view input) {
  const std::string base = NextBase(captured);
  std::unique_ptr<RunningCommand> command(new RunningCommand(base));
  ProgramOptions options = {.argv = {Installed(program)}, .output = base + ".out", .error = base + ".err"};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  if (!input.empty()) {
    options.input = base + ".in";
    RETURN_IF_ERROR(WriteFile(options.input, input));
  }
  ASSIGN_OR_RETURN(command->program_, Program::Start(options));
  return command;
}

CommandResult RunningCommand::Finish(absl::Duration longest) {
  CommandResult result;
  const absl::StatusOr<int> code = program_->Wait(longest);
  result.out = ReadFile(base_ + ".out");
  result.err = err();
  if (code.ok()) {
    result.exit_code = *code;
  } else {
    absl::StrAppend(&result.err, "\n", code.status().message());
  }
  result.json = nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  return result;
}

CommandResult RunCaptured(const std::string& captured, const std::string& program, std::vector<std::string> arguments,
                          absl::string_view input, absl::Duration longest) {
  auto command = RunningCommand::Start(captured, program, std::move(arguments), input);
  if (command.ok()) return (*command)->Finish(longest);
  CommandResult failed;
  failed.err = std::string(command.status().message());
  return failed;
}

ControllerProgram::ControllerProgram(std::string home) : home_(std::move(home)), captured_(home_ + "/captured") {
  mkdir(captured_.c_str(), 0700);
}

CommandResult ControllerProgram::Run(std::vector<std::string> arguments, absl::string_view input) const {
  return RunCaptured(captured_, kCertcast, WithConfig(config_path(), std::move(arguments)), input);
}

CommandResult ControllerProgram::Json(std::vector<std::string> arguments) const {
  return Run(AsJson(std::move(arguments)));
}

absl::StatusOr<std::unique_ptr<RunningCommand>> ControllerProgram::StartJson(std::vector<std::string> arguments) const {
  return RunningCommand::Start(captured_, kCertcast, WithConfig(config_path(), AsJson(std::move(arguments))));
}

absl::StatusOr<std::unique_ptr<Program>> ControllerProgram::StartInto(const std::string& path,
                                                                      std::vector<std::string> arguments) const {
  ProgramOptions options = {.argv = {Installed(kCertcast)}, .output = path, .error = path};
  arguments = WithConfig(config_path(), std::move(arguments));
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  return Program::Start(options);
}

}  // namespace certcast::testing
