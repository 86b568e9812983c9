// What the two programs are like while they work, and what they give to the programs that they start, as /proc shows.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/strings/substitute.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

namespace fs = std::filesystem;

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr absl::Duration kPlenty = absl::Seconds(30);
constexpr char kCanary[] = "9f-canary-in-the-environment-1c";

std::string Proc(pid_t pid, absl::string_view file) {
  return ReadFile(absl::StrCat("/proc/", pid, "/", file));
}

// The rest of the line that begins with `name`.
std::string LineOf(const std::string& text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, name)) return std::string(absl::StripAsciiWhitespace(line));
  }
  return "";
}

// "4 -> /x/certcast.db": descriptors above standard error that a program it starts would get.
std::vector<std::string> InheritableDescriptors(pid_t pid) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(absl::StrCat("/proc/", pid, "/fdinfo"))) {
    const std::string number = entry.path().filename();
    unsigned flags = 0;
    if (std::stoi(number) <= STDERR_FILENO) continue;
    if (std::sscanf(LineOf(ReadFile(entry.path()), "flags:").c_str(), "%o", &flags) != 1 || (flags & O_CLOEXEC) != 0) {
      continue;
    }
    std::error_code gone;
    found.push_back(
        absl::StrCat(number, " -> ", fs::read_symlink(absl::StrCat("/proc/", pid, "/fd/", number), gone).string()));
  }
  return found;
}

// Numbers in what `ls -l /proc/PID/fd` printed of a shell, without those that it has for itself: of the script it
// reads, and copies of the standard ones.
std::vector<std::string> DescriptorsIn(const std::string& listing) {
  std::map<int, std::string> targets;
  for (absl::string_view line : absl::StrSplit(listing, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> halves = absl::StrSplit(line, " -> ");
    if (halves.size() == 2) targets[std::stoi(halves[0].substr(halves[0].rfind(' ') + 1))] = halves[1];
  }
  std::vector<std::string> numbers;
  for (const auto& [number, target] : targets) {
    const bool is_copy = number >= 10 && (target == targets[0] || target == targets[1] || target == targets[2]);
    if (is_copy || absl::EndsWith(target, "/reload") || absl::EndsWith(target, "-hook")) continue;
    numbers.push_back(absl::StrCat(number));
  }
  return numbers;
}

// Shell lines that write down what the process they run in was given, as `$0/NAME.*`, and then wait for NAME.go.
std::string LookAround(const std::string& folder, const std::string& name) {
  return absl::Substitute(R"((ls -l /proc/$$$$/fd) >$0/$1.descriptors
cat /proc/$$$$/environ >$0/$1.environment
cat /proc/$$$$/status /proc/$$$$/limits >$0/$1.status
echo $$PPID >$0/$1.parent.new
mv $0/$1.parent.new $0/$1.parent
until test -e $0/$1.go; do sleep 0.05; done
)",
                          folder, name);
}

class ProgramsTest : public FleetTest {
 protected:
  void SetUp() override {
    umask(022);
    setenv("CERTCAST_TEST_CANARY", kCanary, 1);
    ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1}));
    const std::string hook = fleet().home() + "/looking-hook";
    ASSERT_THAT(
        WriteFile(hook,
                  absl::StrCat("#!/bin/sh\nif test \"$1\" = present; then\n", LookAround(fleet().home(), "hook"),
                               "fi\nexec ", fleet().pebble().hook(), " \"$@\"\n"),
                  0755),
        IsOk());
    fleet().options().hook = hook;
    ASSERT_THAT(fleet().WriteConfig(), IsOk());
    ASSERT_THAT(fleet().nodes().front().SetReload(absl::StrCat(LookAround(fleet().home(), "reload"), kReload)), IsOk());
  }
  void TearDown() override {
    unsetenv("CERTCAST_TEST_CANARY");
    FleetTest::TearDown();
  }

  std::string Seen(const std::string& file) { return ReadFile(absl::StrCat(fleet().home(), "/", file)); }

  // The process that started the one called `name`, which now waits.
  pid_t AwaitParentOf(const std::string& name) {
    const std::string path = name + ".parent";
    EXPECT_THAT(WaitUntil(name + " runs", kPlenty, [&] { return !Seen(path).empty(); }), IsOk());
    return std::atoi(Seen(path).c_str());
  }
  void LetGoOn(const std::string& name) {
    EXPECT_THAT(WriteFile(absl::StrCat(fleet().home(), "/", name, ".go"), ""), IsOk());
  }

  void ExpectHardened(pid_t pid, absl::string_view program) {
    SCOPED_TRACE(program);
    EXPECT_THAT(Proc(pid, "cmdline"), HasSubstr(std::string(program)));
    EXPECT_EQ(LineOf(Proc(pid, "status"), "Umask:"), "0077");
    EXPECT_THAT(LineOf(Proc(pid, "limits"), "Max core file size"), StartsWith("0 "));
    EXPECT_THAT(InheritableDescriptors(pid), IsEmpty());
    EXPECT_GT(std::distance(fs::directory_iterator(absl::StrCat("/proc/", pid, "/fd")), fs::directory_iterator()), 4)
        << "it has none but the standard ones: this shows nothing";
  }

  // Of a program that they started.
  void ExpectGivenLittle(const std::string& name) {
    SCOPED_TRACE(name);
    EXPECT_THAT(DescriptorsIn(Seen(name + ".descriptors")), ::testing::ElementsAre("0", "1", "2"));
    EXPECT_THAT(std::vector<std::string>(absl::StrSplit(Seen(name + ".environment"), '\0', absl::SkipEmpty())),
                Each(AnyOf(StartsWith("PATH="), StartsWith("HOME="), StartsWith("LANG="), StartsWith("LC_ALL="),
                           StartsWith("TZ="), StartsWith("USER="), StartsWith("LOGNAME="), StartsWith("SHELL="))));
    EXPECT_EQ(LineOf(Seen(name + ".status"), "Umask:"), "0022") << "what the program itself was started with";
    EXPECT_THAT(LineOf(Seen(name + ".status"), "Max core file size"), StartsWith("0 "));
  }
};

TEST_F(ProgramsTest, KeepToThemselvesWhatTheyHaveAndGiveLittleToOthers) {
  auto apply = fleet().controller().StartJson({"apply"});
  ASSERT_THAT(apply, IsOk());
  const pid_t controller = (*apply)->program().pid();
  EXPECT_EQ(AwaitParentOf("hook"), controller);
  // So that what is looked for is there to be found.
  EXPECT_THAT(Proc(controller, "environ"), HasSubstr(kCanary));
  ExpectHardened(controller, "controller/certcast");
  LetGoOn("hook");

  const pid_t agent = AwaitParentOf("reload");
  EXPECT_THAT(Proc(agent, "environ"), HasSubstr(kCanary));
  ExpectHardened(agent, "node/certcast-node");
  // Now it has a link, too.
  ExpectHardened(controller, "controller/certcast");
  LetGoOn("reload");

  const CommandResult applied = (*apply)->Finish();
  EXPECT_EQ(applied.exit_code, 0) << applied;
  ExpectGivenLittle("hook");
  ExpectGivenLittle("reload");
}

// As a user without rights, since root may look at everything.
class FellowTest : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr char kUser[] = "12345";

  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u) << "only root can start programs as another user";
    ASSERT_EQ(chmod(home_.path().c_str(), 0755), 0);
  }

  absl::StatusOr<std::unique_ptr<Program>> StartAsUser(std::vector<std::string> argv) {
    argv.insert(argv.begin(), {"setpriv", "--reuid", kUser, "--regid", kUser, "--clear-groups", "--"});
    return Program::Start({.argv = std::move(argv)});
  }

  // Whether another process of that user can look into this one: its environment, and so its memory.
  bool CanLookInto(pid_t pid) {
    const auto result =
        ProcessRunner::Real().Run({.argv = {"setpriv", "--reuid", kUser, "--regid", kUser, "--clear-groups", "--",
                                            "cat", absl::StrCat("/proc/", pid, "/environ")}});
    EXPECT_THAT(result, IsOk());
    return result.ok() && result->ok();
  }

  const TemporaryDirectory home_ = TemporaryDirectory::Short();
};

bool IsRunning(pid_t pid, absl::string_view program) {
  return absl::StartsWith(Proc(pid, "cmdline"), program);
}

TEST_P(FellowTest, CanNotLookIntoIt) {
  // Where that user can reach it, with a configuration that nobody writes: it waits for it.
  const std::string program = home_.path() + "/program";
  const std::string config = home_.path() + "/config";
  fs::copy_file(GetParam(), program);
  ASSERT_EQ(chmod(program.c_str(), 0755), 0);
  ASSERT_EQ(mkfifo(config.c_str(), 0666), 0);
  ASSERT_EQ(chmod(config.c_str(), 0666), 0);
  auto hardened = StartAsUser({program, "--config", config, "status"});
  ASSERT_THAT(hardened, IsOk());
  const pid_t pid = (*hardened)->pid();
  EXPECT_THAT(
      WaitUntil("nobody can look into it", kPlenty, [&] { return IsRunning(pid, program) && !CanLookInto(pid); }),
      IsOk());
  EXPECT_TRUE((*hardened)->Running());

  auto other = StartAsUser({"cat", config});
  ASSERT_THAT(other, IsOk());
  const pid_t plain = (*other)->pid();
  ASSERT_THAT(WaitUntil("cat waits", kPlenty, [&] { return IsRunning(plain, "cat"); }), IsOk());
  EXPECT_TRUE(CanLookInto(plain)) << "then this shows nothing";
}

INSTANTIATE_TEST_SUITE_P(Programs, FellowTest, ::testing::Values("controller/certcast", "node/certcast-node"),
                         [](const auto& info) { return std::string(info.index == 0 ? "Controller" : "Agent"); });

}  // namespace
}  // namespace certcast::testing
