// The remote command, run by the shells of this machine.
#include "controller/transport/ssh/bootstrap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "certcast/v1/link.pb.h"
#include "common/file/file_system.h"
#include "common/x509/digest.h"
#include "controller/transport/ssh/agent_digests.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/program_channel.h"
#include "tests/testing/scripted_channel.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::IsOkAndHolds;
using ::testing::Not;
using testing::ProgramChannel;
using testing::ReadFile;
using testing::ScriptedChannel;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using testing::WriteFile;

using Arguments = std::vector<std::string>;

class BootstrapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    absl::StatusOr<std::shared_ptr<const AgentBinary>> binary =
        AgentBinary::Look("tests/testing/stdio_stand_in", AgentDigests(FileSystem::Real(), ""));
    ASSERT_THAT(binary, IsOk());
    binary_ = *std::move(binary);
    const auto contents = binary_->Read();
    ASSERT_THAT(contents, IsOk());
    contents_ = **contents;
    options_.directory = home_.path() + "/state/bin";
    options_.binary = [this] { return binary_; };
    options_.contents = [this](const AgentBinary&) { return std::make_shared<const std::string>(contents_); };
    options_.user = "deploy";
  }

  // What `login`, with the command as its last argument, comes to: true when the agent was uploaded.
  absl::StatusOr<bool> Run(Arguments login = {"/bin/sh", "-c"},
                           const std::vector<std::pair<std::string, std::string>>& environment = {}) {
    login.emplace_back(kBootstrapCommand);
    return Dial(ProgramChannel::Start(login, home_.path(), environment));
  }
  absl::StatusOr<bool> Dial(std::unique_ptr<testing::ProgramChannel> channel) {
    channel_ = std::move(channel);
    reader_ = std::make_unique<ChannelReader>(*channel_);
    ASSIGN_OR_RETURN(agent_, Bootstrap(*channel_, *reader_, options_, Deadline::In(absl::Seconds(20))));
    return agent_.state == AgentOnHost::State::kUploaded;
  }
  void ExpectHello() {
    v1::Report report;
    ASSERT_THAT(reader_->ReadMessage(report, Deadline::In(absl::Seconds(20))), IsOk());
    EXPECT_EQ(report.hello().version(), "stand-in");
  }
  // What is there once the shell has ended.
  std::vector<std::string> StoredAtTheEnd() const {
    channel_->CloseInput();
    channel_->AwaitExit(Deadline::In(absl::Seconds(20)));
    return Stored();
  }
  std::vector<std::string> Stored() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  std::string BinaryName() const { return absl::StrCat("certcast-node-", binary_->sha256); }
  // A directory for PATH with these programs; the others are as they are.
  std::string PathWith(const std::string& name, const std::string& script) {
    const std::string directory = home_.path() + "/path";
    std::filesystem::create_directories(directory);
    EXPECT_THAT(WriteFile(absl::StrCat(directory, "/", name), absl::StrCat("#!/bin/sh\n", script, "\n"), 0700), IsOk());
    return absl::StrCat(directory, ":/usr/bin:/bin:/usr/sbin:/sbin");
  }
  // What is as large as the agent, and runs no more.
  void Damage() {
    const std::string path = absl::StrCat(options_.directory, "/", BinaryName());
    const std::string damaged = "exit 3\n" + std::string(contents_.size() - 7, '#');
    StoredAtTheEnd();
    ASSERT_THAT(WriteFile(path, damaged, 0700), IsOk());
  }
  // In a mount namespace where the home is this; root may.
  Arguments WithHome(const std::string& mount_options) const {
    return {"unshare", "--mount", "/bin/sh", "-c",
            absl::StrCat("mount -t tmpfs -o ", mount_options, " none ", home_.path(), " && cd ", home_.path(),
                         " && exec /bin/sh -c \"$0\"")};
  }

  testing::TemporaryDirectory home_;
  // Another program from now on.
  void Become(const std::string& contents) {
    AgentBinary next = *binary_;
    next.size = contents.size();
    next.sha256 = Sha256Hex(contents);
    contents_ = contents;
    binary_ = std::make_shared<const AgentBinary>(next);
  }

  std::shared_ptr<const AgentBinary> binary_;
  std::string contents_;
  BootstrapOptions options_;
  // Of the last Run or Dial that was OK.
  AgentOnHost agent_;
  std::unique_ptr<ProgramChannel> channel_;
  std::unique_ptr<ChannelReader> reader_;
};

TEST(BootstrapCommand, PassesEveryLoginShellUnchanged) {
  const absl::string_view command(kBootstrapCommand);
  ASSERT_THAT(std::string(command), StartsWith("/bin/sh -c '"));
  ASSERT_EQ(command.back(), '\'');
  const absl::string_view inner = command.substr(12, command.size() - 13);
  EXPECT_EQ(inner.find_first_of("'\\!\n"), absl::string_view::npos);
}

class BootstrapInShell : public BootstrapTest, public ::testing::WithParamInterface<Arguments> {};

TEST_P(BootstrapInShell, UploadsOnceAndRunsTheAgent) {
  EXPECT_THAT(Run(GetParam()), IsOkAndHolds(true));
  ExpectHello();
  EXPECT_THAT(Stored(), UnorderedElementsAre(BinaryName(), "certcast-node"));
  const std::string path = absl::StrCat(options_.directory, "/", BinaryName());
  EXPECT_EQ(Sha256Hex(ReadFile(path)), binary_->sha256);
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  ASSERT_EQ(stat(options_.directory.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  EXPECT_EQ(std::filesystem::read_symlink(options_.directory + "/certcast-node"), BinaryName());

  EXPECT_THAT(Run(GetParam()), IsOkAndHolds(false));
  ExpectHello();
}

INSTANTIATE_TEST_SUITE_P(Shells, BootstrapInShell,
                         ::testing::Values(Arguments{"/bin/sh", "-c"}, Arguments{"bash", "-c"},
                                           Arguments{"bash", "-l", "-c"}, Arguments{"csh", "-c"},
                                           Arguments{"fish", "-c"}),
                         [](const auto& info) { return absl::StrCat("shell", info.index); });

TEST_F(BootstrapTest, TheAgentHasTheLoginsUmask) {
  const std::string log = home_.path() + "/umask";
  options_.sudo = true;
  const std::string path = PathWith("sudo", absl::StrCat("umask >", log, "; shift; exec \"$@\""));
  EXPECT_THAT(Run({"/bin/sh", "-c", "umask 027; eval \"$0\""}, {{"PATH", path}}), IsOkAndHolds(true));
  ExpectHello();
  EXPECT_EQ(ReadFile(log), "0027\n");
}

TEST_F(BootstrapTest, GetsByOnBusybox) {
  const std::string path = home_.path() + "/busybox";
  std::filesystem::create_directories(path);
  for (const char* applet : {"cat", "chmod", "find", "head", "ln", "ls", "mkdir", "mktemp", "mv", "rm", "sha256sum",
                             "sh", "sync", "uname", "wc"}) {
    std::filesystem::create_symlink("/bin/busybox", absl::StrCat(path, "/", applet));
  }
  EXPECT_THAT(Run({"/bin/busybox", "sh", "-c"}, {{"PATH", path}}), IsOkAndHolds(true));
  ExpectHello();
  EXPECT_THAT(Run({"/bin/busybox", "sh", "-c"}, {{"PATH", path}}), IsOkAndHolds(false));
}

TEST_F(BootstrapTest, ADirectoryBelowTheHomeAndOddNamesAreFine) {
  for (const char* directory : {".certcast/bin", "with blank/ and $HOME `x`"}) {
    options_.directory = directory;
    EXPECT_THAT(Run(), IsOkAndHolds(true)) << directory;
    ExpectHello();
    EXPECT_TRUE(std::filesystem::exists(absl::StrCat(home_.path(), "/", directory, "/", BinaryName())));
  }
}

TEST_F(BootstrapTest, RemovesOlderBinariesAndOldRests) {
  std::filesystem::create_directories(options_.directory);
  chmod(options_.directory.c_str(), 0700);
  for (const char* name : {"certcast-node-0123", "upload.old", "upload.new", "mine"}) {
    ASSERT_THAT(WriteFile(absl::StrCat(options_.directory, "/", name), "x", 0700), IsOk());
  }
  const timespec old[2] = {{1, 0}, {1, 0}};
  utimensat(AT_FDCWD, (options_.directory + "/upload.old").c_str(), old, 0);
  EXPECT_THAT(Run(), IsOkAndHolds(true));
  EXPECT_THAT(Stored(), UnorderedElementsAre(BinaryName(), "certcast-node", "upload.new", "mine"));
}

TEST_F(BootstrapTest, FinishesWhatAnUploadThatWasKilledLeft) {
  ASSERT_THAT(Run(), IsOkAndHolds(true));
  // With its name, and the rest not done.
  for (const bool had_another : {true, false}) {
    StoredAtTheEnd();
    std::filesystem::remove(options_.directory + "/certcast-node");
    if (had_another) {
      ASSERT_THAT(WriteFile(options_.directory + "/certcast-node-0123", "x", 0700), IsOk());
      std::filesystem::create_symlink("certcast-node-0123", options_.directory + "/certcast-node");
    }
    EXPECT_THAT(Run(), IsOkAndHolds(false));
    ExpectHello();
    EXPECT_THAT(Stored(), UnorderedElementsAre(BinaryName(), "certcast-node"));
    EXPECT_EQ(std::filesystem::read_symlink(options_.directory + "/certcast-node"), BinaryName());
  }
}

TEST_F(BootstrapTest, SaysWhatItFoundAndWhatWasThereBefore) {
  ASSERT_THAT(Run(), IsOk());
  EXPECT_EQ(agent_.state, AgentOnHost::State::kUploaded);
  EXPECT_EQ(agent_.sha256, binary_->sha256);
  EXPECT_EQ(agent_.previous_sha256, "");
  ASSERT_THAT(Run(), IsOk());
  EXPECT_EQ(agent_.state, AgentOnHost::State::kCurrent);

  const std::string before = binary_->sha256;
  Become(contents_ + "the next one");
  ASSERT_THAT(Run(), IsOk());
  EXPECT_EQ(agent_.state, AgentOnHost::State::kUploaded);
  EXPECT_EQ(agent_.sha256, binary_->sha256);
  EXPECT_EQ(agent_.previous_sha256, before);
  EXPECT_THAT(Stored(), UnorderedElementsAre(BinaryName(), "certcast-node"));
}

TEST_F(BootstrapTest, OnlyLooksWhereItMayNotUpload) {
  options_.may_upload = false;
  EXPECT_THAT(Run(), IsOkAndHolds(false));
  EXPECT_EQ(agent_.state, AgentOnHost::State::kMissing);
  EXPECT_THAT(StoredAtTheEnd(), IsEmpty());
  EXPECT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", PathWith("uname", "echo Linux armv7l")}}),
              HasReason(Reason::NO_AGENT_BINARY, HasSubstr("is Linux armv7l")));

  options_.may_upload = true;
  ASSERT_THAT(Run(), IsOkAndHolds(true));
  options_.may_upload = false;
  EXPECT_THAT(Run(), IsOkAndHolds(false));
  EXPECT_EQ(agent_.state, AgentOnHost::State::kCurrent);
  ExpectHello();
}

TEST_F(BootstrapTest, ReplacesABinaryOfAnotherSize) {
  std::filesystem::create_directories(options_.directory);
  chmod(options_.directory.c_str(), 0700);
  ASSERT_THAT(WriteFile(absl::StrCat(options_.directory, "/", BinaryName()), "", 0700), IsOk());
  EXPECT_THAT(Run(), IsOkAndHolds(true));
  ExpectHello();
}

TEST_F(BootstrapTest, ADamagedAgentIsFoundByItsContentsAndReplaced) {
  const std::string path = PathWith("sudo", "shift; exec \"$@\"");
  for (const bool sudo : {false, true}) {
    options_.sudo = sudo;
    options_.check_contents = false;
    ASSERT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", path}}), IsOk());
    Damage();
    bool in_doubt = false;
    options_.in_doubt = &in_doubt;
    const absl::StatusOr<bool> damaged = Run({"/bin/sh", "-c"}, {{"PATH", path}});
    EXPECT_THAT(damaged, HasReason(Reason::NO_AGENT_BINARY, HasSubstr("exited with 3")));
    EXPECT_TRUE(in_doubt);
    EXPECT_THAT(FailureOf(damaged.status()).hint(), Not(HasSubstr("NOPASSWD")));

    options_.check_contents = true;
    EXPECT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", path}}), IsOkAndHolds(true));
    EXPECT_EQ(agent_.previous_sha256, "");
    ExpectHello();
    EXPECT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", path}}), IsOkAndHolds(false));
    ExpectHello();
  }
}

TEST_F(BootstrapTest, AnAgentThatIsWholeAndDoesNotComeUpIsNotInDoubtTwice) {
  bool in_doubt = false;
  options_.in_doubt = &in_doubt;
  options_.check_contents = true;
  EXPECT_THAT(Run({"/bin/sh", "-c", "echo certcast-bootstrap 1; read a; echo have /x; exit 3"}),
              HasReason(Reason::NO_AGENT_BINARY, HasSubstr("exited with 3, though it is there as it was sent")));
  EXPECT_FALSE(in_doubt);
}

TEST_F(BootstrapTest, AnotherProgramIsNotStoredAndThePreviousAgentStays) {
  ASSERT_THAT(Run(), IsOkAndHolds(true));
  const std::vector<std::string> before = StoredAtTheEnd();
  Become("#!/bin/sh\necho certcast 0.1.0\n");
  const absl::StatusOr<bool> run = Run();
  EXPECT_THAT(run, HasReason(Reason::NO_AGENT_BINARY,
                             HasSubstr("what was sent is no certcast-node, its version is: certcast 0.1.0")));
  EXPECT_THAT(FailureOf(run.status()).hint(), HasSubstr("agent_binary"));
  EXPECT_THAT(StoredAtTheEnd(), ::testing::UnorderedElementsAreArray(before));
}

TEST_F(BootstrapTest, SeveralAtOnceDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::vector<absl::Status> statuses(4);
  threads.reserve(statuses.size());
  for (absl::Status& status : statuses) {
    threads.emplace_back([&] {
      const std::unique_ptr<ProgramChannel> channel =
          ProgramChannel::Start({"/bin/sh", "-c", kBootstrapCommand}, home_.path());
      ChannelReader reader(*channel);
      status = Bootstrap(*channel, reader, options_, Deadline::In(absl::Seconds(30))).status();
      v1::Report report;
      if (status.ok()) status = reader.ReadMessage(report, Deadline::In(absl::Seconds(30)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(statuses, ::testing::Each(IsOk()));
  EXPECT_THAT(Stored(), UnorderedElementsAre(BinaryName(), "certcast-node"));
}

TEST_F(BootstrapTest, WhatWasCutLeavesNothing) {
  for (const size_t size : {size_t{0}, size_t{1}, contents_.size() / 2, contents_.size() - 1}) {
    auto channel = ProgramChannel::Start({"/bin/sh", "-c", kBootstrapCommand}, home_.path());
    ChannelReader reader(*channel);
    const Deadline deadline = Deadline::In(absl::Seconds(20));
    ASSERT_THAT(channel->Write(absl::StrCat(options_.directory, "\n", binary_->sha256, "\n", contents_.size(),
                                            "\n-\nupload\n", absl::string_view(contents_).substr(0, size)),
                               deadline),
                IsOk());
    channel->CloseInput();
    EXPECT_EQ(channel->AwaitExit(deadline), 1);
    EXPECT_THAT(Stored(), IsEmpty()) << size;
  }
}

TEST_F(BootstrapTest, WhatIsNotAsItShouldBeIsNotStored) {
  contents_.back() ^= 1;
  EXPECT_THAT(Run(), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("what came is not what was sent")));
  EXPECT_THAT(StoredAtTheEnd(), IsEmpty());
}

TEST_F(BootstrapTest, ABinaryThatWasReplacedMeanwhileIsNotUploaded) {
  AgentBinary before = *binary_;
  before.sha256.back() = before.sha256.back() == '0' ? '1' : '0';
  EXPECT_THAT(before.Read(), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("has become another")));
  options_.contents = [&](const AgentBinary&) { return before.Read(); };
  EXPECT_THAT(Run(), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("has become another")));
  EXPECT_THAT(StoredAtTheEnd(), IsEmpty());
}

TEST_F(BootstrapTest, WhatDoesNotRunIsNotStored) {
  Become("echo no such system call; exit 3\n");
  EXPECT_THAT(Run(), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("no such system call")));
  EXPECT_THAT(StoredAtTheEnd(), IsEmpty());
}

TEST_F(BootstrapTest, RefusesADirectoryThatOthersCouldHaveFilled) {
  std::filesystem::create_directories(options_.directory);
  for (const mode_t mode : {0720, 0702}) {
    chmod(options_.directory.c_str(), mode);
    EXPECT_THAT(Run(), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("can be written to by others")));
  }
  chmod(options_.directory.c_str(), 0700);
  ASSERT_EQ(chown(options_.directory.c_str(), 2002, 2002), 0);
  EXPECT_THAT(Run(), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("belongs to another user")));
  EXPECT_THAT(StoredAtTheEnd(), IsEmpty());
}

TEST_F(BootstrapTest, SaysWhyTheDirectoryCanNotBeMade) {
  ASSERT_THAT(WriteFile(home_.path() + "/state", ""), IsOk());
  EXPECT_THAT(Run(), HasReason(Reason::NO_AGENT_BINARY, AllOf(HasSubstr("web-01"), HasSubstr("File exists"))));
}

TEST_F(BootstrapTest, SaysThatAHomeIsReadOnlyFullOrNoexec) {
  EXPECT_THAT(Run(WithHome("ro")), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("Read-only file system")));
  EXPECT_THAT(Run(WithHome("size=16k")), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("No space left on device")));
  EXPECT_THAT(Run(WithHome("noexec")), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("programs may not run in")));
}

TEST_F(BootstrapTest, SaysWhatCanBeDoneWhereThereIsNoRoomOrNoRight) {
  std::filesystem::create_directories(options_.directory);
  for (const bool sudo : {false, true}) {
    options_.sudo = sudo;
    options_.directory = sudo ? ".certcast/bin" : home_.path() + "/state/bin";
    const std::string at = sudo ? home_.path() + "/.certcast/bin" : options_.directory;
    const std::string other =
        absl::StrCat(sudo ? "name" : "name another `state`, or", " another directory for the agent");
    const std::string read_only = sudo ? ".certcast" : home_.path();
    for (const char* mount : {"ro", "noexec", "size=16k"}) {
      const absl::Status status = Run(WithHome(mount)).status();
      EXPECT_THAT(status, HasReason(Reason::NO_AGENT_BINARY, HasSubstr(mount == std::string("ro") ? read_only : at)));
      EXPECT_THAT(FailureOf(status).hint(), HasSubstr(other)) << mount;
      EXPECT_EQ(absl::StrContains(FailureOf(status).hint(), "sudo: true"), !sudo && mount == std::string("ro"));
    }
    EXPECT_THAT(FailureOf(Run(WithHome("size=16k")).status()).hint(),
                HasSubstr(absl::StrFormat("needs %.1f MB there", static_cast<double>(binary_->size) / 1e6)));
  }
}

TEST_F(BootstrapTest, SaysThatAToolIsMissing) {
  const std::string path = home_.path() + "/few";
  std::filesystem::create_directories(path);
  for (const char* tool : {"mkdir", "ls", "wc", "head", "mktemp", "uname"}) {
    std::filesystem::create_symlink(absl::StrCat("/usr/bin/", tool), absl::StrCat(path, "/", tool));
  }
  EXPECT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", path}}),
              HasReason(Reason::NO_AGENT_BINARY, HasSubstr("there is no sha256sum")));
}

TEST_F(BootstrapTest, AForeignMachineGetsNothing) {
  for (const char* host : {"Linux armv7l", "FreeBSD amd64"}) {
    EXPECT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", PathWith("uname", absl::StrCat("echo ", host))}}),
                HasReason(Reason::NO_AGENT_BINARY, AllOf(HasSubstr(absl::StrCat("is ", host)),
                                                         HasSubstr(absl::StrCat("Linux ", binary_->machine)))));
    EXPECT_THAT(StoredAtTheEnd(), Not(::testing::Contains(BinaryName())));
  }
}

TEST_F(BootstrapTest, SkipsWhatALoginPrints) {
  for (const char* noise : {"echo Welcome; echo to the host", "printf 'no line end'", "printf '\\001\\377\\n\\n'",
                            "head -c 60000 /dev/zero", "echo Warning >&2"}) {
    EXPECT_THAT(Run({"/bin/sh", "-c", absl::StrCat(noise, "; eval \"$0\"")}), IsOk()) << noise;
    ExpectHello();
  }
}

TEST_F(BootstrapTest, NoiseWithoutAnEndIsGivenUp) {
  EXPECT_THAT(Run({"/bin/sh", "-c", "echo The menu; exec yes"}),
              HasReason(Reason::PROTOCOL, AllOf(HasSubstr("more than 65536 bytes"), HasSubstr("The menu"))));
  EXPECT_THAT(Run({"/bin/sh", "-c", "exec yes ''"}), HasReason(Reason::PROTOCOL, HasSubstr("more than 65536 bytes")));
}

TEST_F(BootstrapTest, AShellThatRunsNothingIsToldOf) {
  EXPECT_THAT(Run({"/bin/false"}), HasReason(Reason::PROTOCOL, HasSubstr("exited with 1")));
  EXPECT_THAT(Run({"/usr/sbin/nologin"}),
              HasReason(Reason::PROTOCOL, HasSubstr("This account is currently not available")));
  const absl::StatusOr<bool> run = Run({"/bin/sh", "-c", "echo No shell for you >&2; exit 9"});
  EXPECT_THAT(run, HasReason(Reason::PROTOCOL, HasSubstr("exited with 9")));
  EXPECT_THAT(FailureOf(run.status()).stderr(), HasSubstr("No shell for you"));
}

TEST_F(BootstrapTest, AForcedCommandIsSpokenToAtOnce) {
  options_.binary = []() -> absl::StatusOr<std::shared_ptr<const AgentBinary>> {
    ADD_FAILURE() << "no binary is needed";
    return Fail(Reason::NO_AGENT_BINARY, "none");
  };
  EXPECT_THAT(Dial(ProgramChannel::Start({"tests/testing/stdio_stand_in", "stdio"}, ".")), IsOkAndHolds(false));
  EXPECT_EQ(agent_.state, AgentOnHost::State::kOwn);
  ExpectHello();
}

TEST_F(BootstrapTest, RunsTheAgentBySudoWhereItIsAsked) {
  options_.sudo = true;
  options_.directory = ".certcast/bin";
  const std::string log = home_.path() + "/sudo_log";
  const std::string path = PathWith("sudo", absl::StrCat("printf '%s ' \"$@\" >>", log, "; shift; exec \"$@\""));
  EXPECT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", path}}), IsOkAndHolds(true));
  ExpectHello();
  EXPECT_EQ(ReadFile(log), absl::StrCat("-n ", home_.path(), "/.certcast/bin/", BinaryName(), " stdio "));
}

TEST_F(BootstrapTest, SaysThatSudoRefused) {
  options_.sudo = true;
  const absl::StatusOr<bool> run =
      Run({"/bin/sh", "-c"}, {{"PATH", PathWith("sudo", "echo sudo: a password is required >&2; exit 1")}});
  EXPECT_THAT(run, HasReason(Reason::SUDO_REFUSED, HasSubstr("exited with 1")));
  EXPECT_THAT(FailureOf(run.status()).stderr(), HasSubstr("a password is required"));
  EXPECT_THAT(FailureOf(run.status()).hint(),
              HasSubstr(absl::StrCat("behind what else is there for that user: deploy ALL=(root) NOPASSWD: ",
                                     options_.directory, "/certcast-node-* stdio")));
  EXPECT_THAT(Run({"/bin/sh", "-c"}, {{"PATH", PathWith("sudo", "echo Sorry, user deploy may not >&2; exit 1")}}),
              HasReason(Reason::SUDO_REFUSED));
}

TEST_F(BootstrapTest, WhatSudoSaysOfOtherThingsIsNoRefusal) {
  options_.sudo = true;
  for (const char* said :
       {"sudo: unable to execute x: Exec format error", "sudo: unable to resolve host web-01: Name unknown",
        "sudo: setrlimit(RLIMIT_CORE): Operation not permitted", "sudo: /home/x: command not found", "a warning", ""}) {
    const absl::Status status =
        Run({"/bin/sh", "-c"}, {{"PATH", PathWith("sudo", absl::StrCat("echo '", said, "' >&2; exit 1"))}}).status();
    EXPECT_THAT(status, HasReason(Reason::NO_AGENT_BINARY, HasSubstr("does not run on web-01 by sudo"))) << said;
    EXPECT_THAT(FailureOf(status).hint(), Not(HasSubstr("NOPASSWD")));
  }
}

TEST_F(BootstrapTest, SaysThatThereIsNoSudo) {
  options_.sudo = true;
  const absl::Status status = Run({"/bin/sh", "-c",
                                   "echo certcast-bootstrap 1; read a; echo have /x; "
                                   "echo '/bin/sh: 1: exec: sudo: not found' >&2; exit 127"})
                                  .status();
  EXPECT_THAT(status, HasReason(Reason::SUDO_REFUSED, HasSubstr("exited with 127")));
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr("install sudo"));
}

TEST_F(BootstrapTest, AForcedCommandThatDoesNotRunIsToldOf) {
  const struct {
    const char* command;
    Reason::Code reason;
    const char* hint;
  } cases[] = {
      {"/nonexistent/certcast-node stdio", Reason::NO_AGENT_BINARY, "install certcast-node"},
      {"/etc/hostname stdio", Reason::NO_AGENT_BINARY, "install certcast-node"},
      {"echo 'sudo: /usr/local/sbin/certcast-node: command not found' >&2; exit 1", Reason::NO_AGENT_BINARY,
       "install certcast-node"},
      {"echo 'sudo: a password is required' >&2; exit 1", Reason::SUDO_REFUSED,
       "deploy ALL=(root) NOPASSWD: /usr/local/sbin/certcast-node stdio"},
  };
  for (const auto& each : cases) {
    const absl::Status status = Dial(ProgramChannel::Start({"/bin/sh", "-c", each.command}, ".")).status();
    EXPECT_THAT(status, HasReason(each.reason, HasSubstr("the login to web-01 is tied to a command")));
    EXPECT_THAT(FailureOf(status).hint(), HasSubstr(each.hint));
    EXPECT_NE(FailureOf(status).stderr(), "");
  }
}

TEST_F(BootstrapTest, AHostThatStopsToReadIsGivenUp) {
  options_.longest_stall = absl::Milliseconds(200);
  const absl::Status status =
      Run({"/bin/sh", "-c", "echo certcast-bootstrap 1; read a; echo need Linux x86_64; sleep 1000"}).status();
  EXPECT_THAT(status, HasReason(Reason::TIMED_OUT, HasSubstr("bytes of certcast-node")));
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr("nodes upgrade --parallel"));
}

TEST_F(BootstrapTest, AnAgentThatDoesNotStartIsToldOf) {
  const absl::StatusOr<bool> run =
      Run({"/bin/sh", "-c", "echo certcast-bootstrap 1; read a; echo have /x; echo Illegal >&2; exit 126"});
  EXPECT_THAT(run, HasReason(Reason::NO_AGENT_BINARY, HasSubstr("exited with 126")));
  EXPECT_THAT(FailureOf(run.status()).stderr(), HasSubstr("Illegal"));
}

TEST_F(BootstrapTest, AnswersOfAnotherProgramAreRefused) {
  for (const char* answer : {"hello\n", "need\n", "have\n", "stored /x\n"}) {
    ScriptedChannel channel({"certcast-bootstrap 1\n", answer});
    ChannelReader reader(channel);
    EXPECT_THAT(Bootstrap(channel, reader, options_, Deadline::In(absl::Seconds(1))),
                HasReason(Reason::PROTOCOL, HasSubstr("what is no answer")));
  }
}

TEST_F(BootstrapTest, NothingIsSentBeforeTheOtherEndHasSpoken) {
  ScriptedChannel channel({"Password: ", ScriptedChannel::kHang});
  ChannelReader reader(channel);
  EXPECT_THAT(Bootstrap(channel, reader, options_, Deadline::In(absl::Seconds(1))),
              HasReason(Reason::TIMED_OUT, HasSubstr("it said: Password:")));
  EXPECT_EQ(channel.written(), "");
}

}  // namespace
}  // namespace certcast::controller
