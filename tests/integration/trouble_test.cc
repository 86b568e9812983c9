// What goes wrong around a run of `certcast apply`: hooks that fail or hang, a second controller, a reader that goes
// away.
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(20);

class TroubleTest : public FleetTest {
 protected:
  // The configured hook from now on.
  void UseHook(const std::string& lines) {
    fleet().options().hook = fleet().home() + "/hook";
    ASSERT_THAT(WriteFile(fleet().options().hook, absl::StrCat("#!/bin/sh\n", lines), 0755), IsOk());
    ASSERT_THAT(fleet().WriteConfig(), IsOk());
  }
  // The next run succeeds, with the order that was made by the one that did not.
  void ExpectGoesOn() {
    fleet().options().hook_timeout = FleetOptions().hook_timeout;
    UseHook(absl::StrCat("exec ", fleet().pebble().hook(), " \"$@\"\n"));
    ApplyFirst();
    EXPECT_EQ(fleet().Orders(), 1);
  }
};

// A file that its readers wait on until this ends.
class Gate {
 public:
  explicit Gate(const std::string& path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    end_ = Descriptor(open(path.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_TRUE(end_.valid());
  }

 private:
  Descriptor end_;
};

TEST_F(TroubleTest, AHookThatFailsIsQuoted) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1}));
  UseHook("echo 'no token for zone demo.test' >&2\nexit 7\n");

  const CommandResult failed = Apply();

  EXPECT_EQ(failed.exit_code, 1) << failed;
  EXPECT_THAT(failed.err,
              AllOf(HasSubstr("present` for _acme-challenge.demo.test. exited with 7"),
                    HasSubstr("  | no token for zone demo.test\n"), HasSubstr("hint: run the hook by hand")));
  EXPECT_EQ(fleet().nodes().front().Reloads(), 0);
  ExpectGoesOn();
}

TEST_F(TroubleTest, AHookThatHangsIsEnded) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1}));
  const Gate gate(fleet().home() + "/gate");
  fleet().options().hook_timeout = "1s";
  UseHook(absl::StrCat("read line <", fleet().home(), "/gate\n"));

  const CommandResult failed = Apply();

  EXPECT_EQ(failed.exit_code, 1) << failed;
  EXPECT_THAT(failed.err, AllOf(HasSubstr("did not end within 1s"), HasSubstr("hint: raise challenge.exec.timeout")));
  ExpectGoesOn();
}

TEST_F(TroubleTest, AHookThatIsMissingIsNamed) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1}));
  fleet().options().hook = "/nonexistent/hook";
  ASSERT_THAT(fleet().WriteConfig(), IsOk());

  const CommandResult failed = Apply();

  EXPECT_EQ(failed.exit_code, 1) << failed;
  EXPECT_THAT(failed.err, AllOf(HasSubstr("running /nonexistent/hook: No such file or directory"), HasSubstr("hint:")));
  ExpectGoesOn();
}

TEST_F(TroubleTest, ASecondControllerSaysWhoIsAtWork) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1}));
  const std::string entered = fleet().home() + "/entered";
  auto gate = std::make_unique<Gate>(fleet().home() + "/gate");
  UseHook(absl::StrCat("echo >", entered, "\n[ \"$1\" = cleanup ] || read line <", fleet().home(), "/gate\nexec ",
                       fleet().pebble().hook(), " \"$@\"\n"));
  auto first = fleet().controller().StartJson({"apply"});
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(WaitUntil("the first is in its hook", kPatience, [&] { return !ReadFile(entered).empty(); }), IsOk());

  const CommandResult second = Apply();

  EXPECT_EQ(second.exit_code, 1) << second;
  EXPECT_THAT(second.err, AllOf(HasSubstr(absl::StrCat("in use by apply (process ", (*first)->program().pid(), ")")),
                                HasSubstr("hint: wait until it has ended")));
  // Looking is allowed.
  EXPECT_EQ(fleet().controller().Json({"status"}).exit_code, 3);
  (*first)->program().Kill();
  gate.reset();
  ExpectGoesOn();
}

TEST_F(TroubleTest, ARolloutGoesOnWhenNobodyReadsItsProgress) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2}));
  const std::string pipe = fleet().home() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  Descriptor reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader.valid());
  auto apply = fleet().controller().StartInto(pipe, {"apply"});
  ASSERT_THAT(apply, IsOk());
  reader.Close();

  const absl::StatusOr<int> code = (*apply)->Wait(absl::Seconds(60));

  ASSERT_THAT(code, IsOk());
  EXPECT_EQ(*code, 1) << "the result could not be written";
  const CommandResult again = Apply();
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_FALSE(IssuedIn(again));
  EXPECT_EQ(RolloutIn(again), "") << "it was done";
  ExpectAllServe(LeafIn(again));
}

}  // namespace
}  // namespace certcast::testing
