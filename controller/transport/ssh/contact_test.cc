// A whole contact with a host, from the remote command to a confirmed install, cut at every byte of it.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "certcast/v1/link.pb.h"
#include "common/status/status.h"
#include "controller/transport/ssh/bootstrap.h"
#include "controller/transport/ssh/ssh_link.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/scripted_channel.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using testing::HasReason;
using testing::IsOk;

constexpr absl::Duration kTimeout = absl::Seconds(10);

// The other end says `says`, `piece` bytes a Read. After so many bytes read or written the connection is gone.
class CutChannel final : public ByteChannel {
 public:
  CutChannel(absl::string_view says, size_t piece, size_t most_read, size_t most_written)
      : says_(says), piece_(piece), most_read_(std::min(most_read, says.size())), most_written_(most_written) {}

  absl::Status Write(absl::string_view bytes, Deadline) override {
    written_ += bytes.size();
    if (written_ <= most_written_) return absl::OkStatus();
    most_read_ = read_;
    return Gone();
  }
  absl::StatusOr<std::string> Read(Deadline) override {
    if (read_ == most_read_) return Gone();
    std::string bytes(says_.substr(read_, std::min(piece_, most_read_ - read_)));
    read_ += bytes.size();
    return bytes;
  }
  std::optional<int> AwaitExit(Deadline) override { return std::nullopt; }
  const std::string& error_output() const override { return error_output_; }
  const std::string& peer() const override { return peer_; }

  size_t written() const { return written_; }

 private:
  static absl::Status Gone() { return Fail(Reason::LINK_LOST, "host: the connection is gone"); }

  const std::string peer_ = "host";
  const std::string error_output_;
  const absl::string_view says_;
  const size_t piece_;
  size_t most_read_;
  const size_t most_written_;
  size_t read_ = 0;
  size_t written_ = 0;
};

std::string Delimited(const google::protobuf::MessageLite& message) {
  testing::ScriptedChannel channel({});
  EXPECT_THAT(WriteMessage(message, channel, Deadline::In(kTimeout)), IsOk());
  return channel.written();
}

v1::Report Installed(const std::string& id) {
  v1::Report report;
  report.set_command_id(id);
  report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
  return report;
}

// What a host says, and after which of its bytes each of the four steps is done: the agent runs, has said Hello, has
// installed, has confirmed.
struct Transcript {
  std::string says;
  std::vector<size_t> done;
};

Transcript Record(absl::string_view bootstrap) {
  Transcript transcript;
  const auto add = [&transcript](absl::string_view bytes) {
    absl::StrAppend(&transcript.says, bytes);
    transcript.done.push_back(transcript.says.size());
  };
  add(absl::StrCat("Welcome!\nno line end\ncertcast-bootstrap 1\n", bootstrap, "certcast-link 1\n"));
  v1::Report report;
  report.mutable_hello()->set_hosted(true);
  report.mutable_hello()->set_version("0.1.0");
  add(Delimited(report));
  report.Clear();
  report.set_command_id("install");
  report.mutable_progress()->set_step("verify");
  transcript.says += Delimited(report);
  add(Delimited(Installed("install")));
  add(Delimited(Installed("confirm")));
  return transcript;
}

class Contact : public ::testing::TestWithParam<const char*> {
 protected:
  // How many of the steps came to their end; the first that did not must have lost the link, and so must what follows.
  static size_t Converse(std::unique_ptr<CutChannel> channel) {
    auto reader = std::make_unique<ChannelReader>(*channel);
    const std::string contents = "the agent";
    const BootstrapOptions options = {
        .directory = "/state/bin",
        .user = "deploy",
        .binary =
            [&] {
              return std::make_shared<const AgentBinary>(
                  AgentBinary{"certcast-node", contents.size(), std::string(64, 'a'), "x86_64"});
            },
        .contents = [&](const AgentBinary&) { return std::make_shared<const std::string>(contents); }};
    const absl::Status started = Bootstrap(*channel, *reader, options, Deadline::In(kTimeout)).status();
    ExpectLostUnlessOk(started);
    if (!started.ok()) return 0;
    v1::NodeDefinition definition;
    definition.set_node("web-01");
    definition.set_services_yaml("[]");
    SshLink link(std::move(channel), std::move(reader), nullptr, definition);
    const absl::Status hello = link.AwaitHello(Deadline::In(kTimeout));
    ExpectLostUnlessOk(hello);
    if (!hello.ok()) return 1;
    v1::Command install;
    install.set_id("install");
    install.mutable_install()->mutable_bundle()->set_private_key_pem("key");
    v1::Command confirm;
    confirm.set_id("confirm");
    confirm.mutable_confirm();
    const absl::Status installed = link.Call(install, kTimeout, nullptr).status();
    const absl::Status confirmed = link.Call(confirm, kTimeout, nullptr).status();
    ExpectLostUnlessOk(installed);
    ExpectLostUnlessOk(confirmed);
    EXPECT_TRUE(installed.ok() || !confirmed.ok());
    return size_t{2} + (installed.ok() ? 1 : 0) + (confirmed.ok() ? 1 : 0);
  }
  static void ExpectLostUnlessOk(const absl::Status& status) {
    if (status.ok()) return;
    EXPECT_THAT(status, HasReason(Reason::LINK_LOST));
  }
};

TEST_P(Contact, CutAfterAnyByteThatWasReadOnlyWhatWasAnsweredWholeCounts) {
  const Transcript transcript = Record(GetParam());
  for (const size_t piece : {size_t{1}, size_t{7}, transcript.says.size()}) {
    for (size_t cut = 0; cut <= transcript.says.size(); ++cut) {
      const size_t whole =
          std::upper_bound(transcript.done.begin(), transcript.done.end(), cut) - transcript.done.begin();
      EXPECT_EQ(Converse(std::make_unique<CutChannel>(transcript.says, piece, cut, SIZE_MAX)), whole)
          << cut << " of " << transcript.says.size() << " in pieces of " << piece;
    }
  }
}

TEST_P(Contact, CutAtAnyByteThatIsWrittenNothingMoreIsDone) {
  const Transcript transcript = Record(GetParam());
  size_t steps = 0;
  size_t cut = 0;
  for (; steps < 4; ++cut) {
    ASSERT_LT(cut, 4096u);
    const size_t now = Converse(std::make_unique<CutChannel>(transcript.says, 1, SIZE_MAX, cut));
    EXPECT_GE(now, steps) << cut;
    steps = now;
  }
  // All that is written: four lines at least, and two commands.
  EXPECT_GT(cut, 100u);
}

INSTANTIATE_TEST_SUITE_P(Bootstraps, Contact,
                         ::testing::Values("have /state/bin\n", "need Linux x86_64\nstored /state/bin\n",
                                           "need Linux x86_64 certcast-node-0123\nstored /state/bin\n"),
                         [](const auto& info) { return absl::StrCat("bootstrap", info.index); });

}  // namespace
}  // namespace certcast::controller
