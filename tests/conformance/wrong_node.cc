// A node that breaks one promise: it speaks stdio, passes everything on to a right one, and spoils a thing on the way.
//
//   wrong_node FAULT COMMAND...
#include <fcntl.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "certcast/v1/link.pb.h"
#include "common/link/preface.h"

namespace certcast {
namespace {

using google::protobuf::io::FileInputStream;
using google::protobuf::util::ParseDelimitedFromZeroCopyStream;
using google::protobuf::util::SerializeDelimitedToFileDescriptor;

struct Fault {
  // What becomes of a command, and of a report, on its way. Nothing where there is no function.
  std::function<void(v1::Command&)> spoil_command;
  std::function<void(v1::Report&)> spoil_report;
};

// Each command gets an id that the right node has not seen, and each report its old one back.
Fault ForgetsIds() {
  static std::map<std::string, std::string>& ids = *new std::map<std::string, std::string>;
  static int number = 0;
  return {.spoil_command =
              [](v1::Command& command) {
                const std::string fresh = absl::StrCat("fresh-", getpid(), "-", ++number);
                ids[fresh] = command.id();
                command.set_id(fresh);
              },
          .spoil_report = [](v1::Report& report) { report.set_command_id(ids[report.command_id()]); }};
}

const std::map<std::string, Fault>& Faults() {
  static const auto* const faults = new std::map<std::string, Fault>{
      {"none", {}},
      {"hello-with-id",
       {.spoil_report =
            [](v1::Report& report) {
              if (report.has_hello()) report.set_command_id("hello");
            }}},
      {"forgets-ids", ForgetsIds()},
      {"calls-it-installed",
       {.spoil_report =
            [](v1::Report& report) {
              if (report.install_result().outcome() != v1::Outcome::REVERTED) return;
              report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
              report.mutable_install_result()->clear_failure();
            }}},
      {"gives-no-reason",
       {.spoil_report =
            [](v1::Report& report) {
              if (report.install_result().has_failure())
                report.mutable_install_result()->mutable_failure()->clear_reason();
            }}},
      {"takes-any-epoch", {.spoil_command = [](v1::Command& command) { command.set_epoch(uint64_t{1} << 40); }}},
      {"confirms-anything",
       {.spoil_report =
            [](v1::Report& report) {
              if (report.install_result().failure().reason() != v1::Reason::STALE_COMMAND) return;
              report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
              report.mutable_install_result()->clear_failure();
            }}},
      {"hides-drift",
       {.spoil_report =
            [](v1::Report& report) {
              if (!report.has_inventory()) return;
              for (auto& service : *report.mutable_inventory()->mutable_services()) service.clear_drift();
            }}},
      {"made-up-fingerprint",
       {.spoil_report =
            [](v1::Report& report) {
              if (!report.has_install_result()) return;
              for (auto& probe : *report.mutable_install_result()->mutable_probes()) probe.set_served_sha256("00");
            }}},
  };
  return *faults;
}

template <typename Message>
void PassOn(int from, int to, const std::function<void(Message&)>& spoil) {
  FileInputStream stream(from);
  bool clean_end = false;
  for (Message message; ParseDelimitedFromZeroCopyStream(&message, &stream, &clean_end); message.Clear()) {
    if (spoil) spoil(message);
    if (!SerializeDelimitedToFileDescriptor(message, to)) break;
  }
}

void PassOnPreface(int from, int to) {
  char line[sizeof(kLinkPreface) - 1];
  for (char& byte : line) {
    if (read(from, &byte, 1) != 1) return;
  }
  // One that can't be written leaves the rest unwritten too.
  (void)!write(to, line, sizeof(line));
}

// The right node's exit code.
int Run(const Fault& fault, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  int commands[2];
  int reports[2];
  if (pipe2(commands, O_CLOEXEC) != 0 || pipe2(reports, O_CLOEXEC) != 0) return 1;
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(commands[0], STDIN_FILENO);
    dup2(reports[1], STDOUT_FILENO);
    execv(argv[0], argv);
    _exit(127);
  }
  close(commands[0]);
  close(reports[1]);
  std::thread to_node([&] {
    PassOn<v1::Command>(STDIN_FILENO, commands[1], fault.spoil_command);
    close(commands[1]);
  });
  PassOnPreface(reports[0], STDOUT_FILENO);
  PassOn<v1::Report>(reports[0], STDOUT_FILENO, fault.spoil_report);
  int status = 0;
  waitpid(pid, &status, 0);
  // The other side learns that it is over; the thread may still wait for what comes next.
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

}  // namespace
}  // namespace certcast

int main(int argc, char** argv) {
  const auto fault = argc < 3 ? certcast::Faults().end() : certcast::Faults().find(argv[1]);
  if (fault == certcast::Faults().end()) {
    std::cerr << "usage: wrong_node FAULT COMMAND...\n";
    return 2;
  }
  return certcast::Run(fault->second, argv + 2);
}
