// stdio: one controller at the other end of a pipe, as over SSH.
#include "node/frontend/stdio.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "common/x509/key_library.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"
#include "node/hosted/hosted_engine.h"
#include "node/hosted/on_demand_engine.h"

namespace certcast::node {
namespace {

// An install goes on when the connection is gone: no signal of the login's end reaches this process.
void OutliveTheConnection() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  // Fails for the leader of a process group, as in an interactive shell: there Ctrl-C is meant.
  (void)setsid();
}

// A login's PATH often lacks where nginx and systemctl are. Before other threads are there.
void FindSystemPrograms() {
  const char* path = getenv("PATH");
  setenv("PATH", absl::StrCat(path == nullptr ? "/usr/bin:/bin" : path, ":/usr/local/sbin:/usr/sbin:/sbin").c_str(), 1);
}

// Memory that is given back is asked for again soon, a page at a time: each record that is read is larger than what
// malloc keeps by itself.
void KeepMemory() {
  constexpr int kEnough = 4 << 20;
  mallopt(M_MMAP_THRESHOLD, kEnough);
  mallopt(M_TRIM_THRESHOLD, kEnough);
  mallopt(M_TOP_PAD, kEnough / 16);
}

// A process a contact: what it does at its start, it does each time.
void Begin() {
  KeepMemory();
  OutliveTheConnection();
  FindSystemPrograms();
  StartOpensslBriefly();
}

// Whoever waits for the end of what this writes, sshd for one, need not wait for what is still to do.
void Detach() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  close(null);
}

std::string Machine() {
  utsname name;
  return uname(&name) == 0 ? name.machine : "";
}

int Serve(Engine& engine, const v1::Hello& hello) {
  absl::Status served = ServeStdio(STDIN_FILENO, STDOUT_FILENO, engine, Clock::Real(), hello);
  if (engine.ConfirmBy().has_value()) Detach();
  served = KeepFirst(std::move(served), AwaitNothingToConfirm(engine, Clock::Real()));
  return served.ok() ? kDone : ReportError(served);
}

}  // namespace

int Stdio(const std::string& config_path) {
  Begin();
  absl::StatusOr<Setup> setup = ReadSetup(config_path);
  if (!setup.ok()) return ReportError(setup.status());
  HttpChallenges challenges(FileSystem::Real(), Clock::Real());
  OnDemandEngine engine(MakeEngineSource(setup->MakeEngineConfig()), RealEnvironment(&challenges));
  // Without one the engine refuses installs, and says so; one that is there and can't be used is for an operator to
  // see, once what a crash left is put right.
  if (!setup->identity_status.ok() && ReasonOf(setup->identity_status) != Reason::NOT_ENROLLED) {
    return ReportError(KeepFirst(setup->identity_status, engine.Recover().status()));
  }
  v1::Hello hello;
  hello.set_node(setup->config.name);
  hello.set_version(kVersion);
  hello.set_machine(Machine());
  if (setup->identity.has_value()) hello.set_fleet_id(setup->identity->file.fleet_id);
  return Serve(engine, hello);
}

int HostedStdio() {
  Begin();
  HttpChallenges challenges(FileSystem::Real(), Clock::Real());
  HostedEngine engine(RealEnvironment(&challenges));
  v1::Hello hello;
  hello.set_version(kVersion);
  hello.set_machine(Machine());
  hello.set_hosted(true);
  return Serve(engine, hello);
}

}  // namespace certcast::node
