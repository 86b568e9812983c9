// Through real pipes.
#include "node/frontend/stdio.h"

#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/file/descriptor.h"
#include "common/link/preface.h"
#include "gmock/gmock.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_engine.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using testing::FakeClock;
using testing::FakeEngine;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;

v1::Command Describe(const std::string& id) {
  v1::Command command;
  command.set_id(id);
  command.mutable_describe();
  return command;
}

std::string Delimited(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::util::SerializeDelimitedToZeroCopyStream(message, &stream);
  return bytes;
}

// ServeStdio on a thread of its own, with a pipe on each side.
class Session {
 public:
  Session(Engine& engine, Clock& clock) {
    signal(SIGPIPE, SIG_IGN);
    int to[2];
    int from[2];
    if (pipe(to) != 0 || pipe(from) != 0) ADD_FAILURE() << "pipe";
    node_in_ = Descriptor(to[0]);
    commands_ = Descriptor(to[1]);
    reports_ = Descriptor(from[0]);
    node_out_ = Descriptor(from[1]);
    v1::Hello hello;
    hello.set_node("web-01");
    thread_ = std::thread([this, hello, &engine, &clock] {
      status_ = ServeStdio(node_in_.get(), node_out_.get(), engine, clock, hello);
      node_out_.Close();
      status_ = KeepFirst(status_, AwaitNothingToConfirm(engine, clock));
    });
    std::string preface(sizeof kLinkPreface - 1, '\0');
    EXPECT_EQ(read(reports_.get(), preface.data(), preface.size()), static_cast<ssize_t>(preface.size()));
    EXPECT_EQ(preface, "certcast-link 1\n");
  }
  ~Session() { End().IgnoreError(); }

  void Send(const std::string& bytes) {
    ASSERT_EQ(write(commands_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void CloseCommands() { commands_.Close(); }
  void CloseReports() { reports_.Close(); }
  // The next report; false when there is none.
  bool Receive(v1::Report& report) {
    google::protobuf::io::FileInputStream stream(reports_.get(), 1);  // not a byte more than the message
    bool clean_end = false;
    return google::protobuf::util::ParseDelimitedFromZeroCopyStream(&report, &stream, &clean_end);
  }
  absl::Status End() {
    CloseCommands();
    if (thread_.joinable()) thread_.join();
    return status_;
  }

 private:
  Descriptor node_in_, node_out_, commands_, reports_;
  absl::Status status_;
  std::thread thread_;
};

TEST(Stdio, SaysHelloThenAnswersInOrder) {
  FakeClock clock;
  FakeEngine engine([](const v1::Command& command, const OnProgress& on_progress) {
    v1::Progress progress;
    progress.set_step("verify");
    on_progress(progress);
    v1::Report report;
    report.mutable_inventory()->set_node("answer to " + command.id());
    return report;
  });
  Session session(engine, clock);
  session.Send(Delimited(Describe("a")) + Delimited(Describe("b")));
  v1::Report report;
  ASSERT_TRUE(session.Receive(report));
  EXPECT_EQ(report.hello().node(), "web-01");
  EXPECT_EQ(report.command_id(), "");
  for (const std::string id : {"a", "b"}) {
    ASSERT_TRUE(session.Receive(report));
    EXPECT_EQ(report.command_id(), id);
    EXPECT_EQ(report.progress().step(), "verify");
    ASSERT_TRUE(session.Receive(report));
    EXPECT_EQ(report.command_id(), id);
    EXPECT_EQ(report.inventory().node(), "answer to " + id);
  }
  EXPECT_THAT(session.End(), IsOk());
  EXPECT_FALSE(session.Receive(report));
}

TEST(Stdio, NoProgressGoesToWhoWantsNone) {
  FakeClock clock;
  FakeEngine engine([](const v1::Command& command, const OnProgress& on_progress) {
    EXPECT_EQ(on_progress == nullptr, command.without_progress());
    if (on_progress) on_progress({});
    v1::Report report;
    report.mutable_inventory();
    return report;
  });
  Session session(engine, clock);
  v1::Command quiet = Describe("quiet");
  quiet.set_without_progress(true);
  session.Send(Delimited(quiet) + Delimited(Describe("loud")));
  v1::Report report;
  ASSERT_TRUE(session.Receive(report));
  ASSERT_TRUE(session.Receive(report));
  EXPECT_EQ(report.command_id(), "quiet");
  EXPECT_TRUE(report.has_inventory());
  ASSERT_TRUE(session.Receive(report));
  EXPECT_EQ(report.command_id(), "loud");
  EXPECT_TRUE(report.has_progress());
}

TEST(Stdio, AMessageThatComesInPiecesIsWhole) {
  FakeClock clock;
  FakeEngine engine;
  Session session(engine, clock);
  v1::Report report;
  ASSERT_TRUE(session.Receive(report));
  v1::Command command = Describe("long");
  command.mutable_install()->mutable_bundle()->set_fullchain_pem(std::string(1000, 'x'));  // a length of two bytes
  for (char byte : Delimited(command)) session.Send(std::string(1, byte));
  ASSERT_TRUE(session.Receive(report));
  EXPECT_EQ(report.command_id(), "long");
}

TEST(Stdio, RefusesALengthAboveTheBoundBeforeAnythingElseComes) {
  FakeClock clock;
  for (const std::string& length : {std::string("\x81\x80\x40"), std::string("\xff\xff\xff\xff\x0f"),
                                    std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}) {
    FakeEngine engine;
    Session session(engine, clock);
    session.Send(length);
    EXPECT_THAT(session.End(), HasReason(Reason::MALFORMED, HasSubstr("larger than 1048576")));
    EXPECT_THAT(engine.commands(), IsEmpty());
  }
}

TEST(Stdio, RefusesWhatIsTornOrDoesNotParse) {
  FakeClock clock;
  const std::string whole = Delimited(Describe("a"));
  for (const std::string& bytes :
       {whole.substr(0, whole.size() - 1), std::string("\x80"), std::string("\x03\xff\xff\xff")}) {
    FakeEngine engine;
    Session session(engine, clock);
    session.Send(bytes);
    EXPECT_THAT(session.End(), HasReason(Reason::MALFORMED));
    EXPECT_THAT(engine.commands(), IsEmpty());
  }
}

TEST(Stdio, WaitsForTheDeadlineAtTheEndAndGoesBack) {
  FakeClock clock;
  const absl::Time confirm_by = clock.Now() + absl::Minutes(1);
  FakeEngine engine;
  engine.SetConfirmBy(confirm_by);
  Session session(engine, clock);
  EXPECT_THAT(session.End(), IsOk());
  EXPECT_EQ(engine.reverts(), 1);
  EXPECT_GE(clock.Now(), confirm_by);
}

TEST(Stdio, SaysThatItCouldNotGoBack) {
  FakeClock clock;
  FakeEngine engine;
  const absl::Time confirm_by = clock.Now() + absl::Minutes(1);
  engine.SetConfirmBy(confirm_by);
  engine.SetRevertResult(Fail(Reason::REVERT_FAILED, "disk is gone"));
  EXPECT_THAT(AwaitNothingToConfirm(engine, clock), HasReason(Reason::REVERT_FAILED, HasSubstr("disk is gone")));
  // For a quarter of an hour, at last once a minute.
  EXPECT_GE(clock.Now(), confirm_by + absl::Minutes(15));
  EXPECT_GT(engine.reverts(), 15);
  EXPECT_LT(engine.reverts(), 30);
}

// Its disk is full for a while.
class MendedLater final : public Clock {
 public:
  MendedLater(FakeClock& clock, FakeEngine& engine, absl::Time at) : clock_(clock), engine_(engine), at_(at) {}
  absl::Time Now() const override { return clock_.Now(); }
  absl::Duration Monotonic() const override { return clock_.Monotonic(); }
  absl::Duration SinceBoot() const override { return clock_.SinceBoot(); }
  std::string BootId() const override { return clock_.BootId(); }
  void Sleep(absl::Duration duration) override {
    clock_.Sleep(duration);
    if (Now() >= at_) engine_.SetRevertResult(absl::OkStatus());
  }

 private:
  FakeClock& clock_;
  FakeEngine& engine_;
  const absl::Time at_;
};

TEST(Stdio, TriesAgainWhenTheWayBackFails) {
  FakeClock clock;
  FakeEngine engine;
  engine.SetConfirmBy(clock.Now());
  engine.SetRevertResult(Fail(Reason::NO_SPACE, "disk full"));
  MendedLater mended(clock, engine, clock.Now() + absl::Minutes(10));
  EXPECT_THAT(AwaitNothingToConfirm(engine, mended), IsOk());
  EXPECT_GT(engine.reverts(), 2);
  EXPECT_EQ(engine.ConfirmBy(), std::nullopt);
}

TEST(Stdio, AReaderThatIsGoneEndsItAsTheEndOfTheInputDoes) {
  FakeClock clock;
  FakeEngine engine;
  Session session(engine, clock);
  v1::Report report;
  ASSERT_TRUE(session.Receive(report));
  session.CloseReports();
  engine.SetConfirmBy(clock.Now() + absl::Minutes(1));
  session.Send(Delimited(Describe("a")) + Delimited(Describe("b")));
  EXPECT_THAT(session.End(), IsOk());
  EXPECT_THAT(engine.commands(), ElementsAre("a"));
  EXPECT_EQ(engine.reverts(), 1);
}

}  // namespace
}  // namespace certcast::node
