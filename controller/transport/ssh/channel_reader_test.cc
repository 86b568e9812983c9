#include "controller/transport/ssh/channel_reader.h"

#include <deque>
#include <optional>
#include <string>

#include "certcast/v1/link.pb.h"
#include "common/link/bounds.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/scripted_channel.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;
using ::testing::Optional;
using testing::ScriptedChannel;

const Deadline kSoon = Deadline::In(absl::Seconds(1));

v1::Report Report(const std::string& id) {
  v1::Report report;
  report.set_command_id(id);
  return report;
}

std::string Delimited(const v1::Report& report) {
  ScriptedChannel channel({});
  EXPECT_THAT(WriteMessage(report, channel, kSoon), IsOk());
  return channel.written();
}

std::deque<std::string> BytesOf(const std::string& text) {
  std::deque<std::string> bytes;
  for (char byte : text) bytes.emplace_back(1, byte);
  return bytes;
}

TEST(ChannelReader, LinesAndMessagesComeWholeHoweverTheyAreCut) {
  // A length of two bytes.
  const std::string text = "one\r\n\ntwo\n" + Delimited(Report(std::string(300, 'x'))) + Delimited(Report("b"));
  for (const std::deque<std::string>& pieces : {std::deque<std::string>{text}, BytesOf(text)}) {
    ScriptedChannel channel(pieces);
    ChannelReader reader(channel);
    EXPECT_THAT(reader.ReadLine(10, kSoon), IsOkAndHolds(Optional(std::string("one"))));
    EXPECT_THAT(reader.ReadLine(10, kSoon), IsOkAndHolds(Optional(std::string())));
    EXPECT_THAT(reader.ReadLine(10, kSoon), IsOkAndHolds(Optional(std::string("two"))));
    v1::Report report;
    ASSERT_THAT(reader.ReadMessage(report, kSoon), IsOk());
    EXPECT_EQ(report.command_id(), std::string(300, 'x'));
    ASSERT_THAT(reader.ReadMessage(report, kSoon), IsOk());
    EXPECT_EQ(report.command_id(), "b");
    EXPECT_THAT(reader.ReadMessage(report, kSoon), HasReason(Reason::LINK_LOST));
    EXPECT_THAT(reader.ReadLine(10, kSoon), IsOkAndHolds(::testing::Eq(std::nullopt)));
  }
}

TEST(ChannelReader, ATimeoutLosesNothing) {
  const std::string text = Delimited(Report("id"));
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    ScriptedChannel channel({});
    if (cut > 0) channel.Add(text.substr(0, cut));
    channel.Add(ScriptedChannel::kHang);
    if (cut < text.size()) channel.Add(text.substr(cut));
    ChannelReader reader(channel);
    v1::Report report;
    if (cut < text.size()) {
      EXPECT_THAT(reader.ReadMessage(report, kSoon), HasReason(Reason::TIMED_OUT)) << cut;
    }
    ASSERT_THAT(reader.ReadMessage(report, kSoon), IsOk()) << cut;
    EXPECT_EQ(report.command_id(), "id");
  }
}

TEST(ChannelReader, ALineThatDoesNotEndIsGivenUp) {
  ScriptedChannel channel({"12345", "67890", "x"});
  ChannelReader reader(channel);
  EXPECT_THAT(reader.ReadLine(9, kSoon), HasReason(Reason::PROTOCOL, HasSubstr("more than 9 bytes")));
  ScriptedChannel whole({"1234567890\n"});
  ChannelReader whole_reader(whole);
  EXPECT_THAT(whole_reader.ReadLine(9, kSoon), HasReason(Reason::PROTOCOL));
}

TEST(ChannelReader, AMessageAboveTheBoundIsRefusedByItsLength) {
  for (const std::string& length :
       {std::string("\x81\x80\x40"), std::string("\xff\xff\xff\xff"), std::string("\xff\xff\xff\xff\xff\xff")}) {
    ScriptedChannel channel({length});
    ChannelReader reader(channel);
    v1::Report report;
    EXPECT_THAT(reader.ReadMessage(report, kSoon), HasReason(Reason::PROTOCOL, HasSubstr("more than 1048576")));
  }
}

TEST(ChannelReader, WhatIsNoMessageIsRefused) {
  ScriptedChannel channel({std::string("\x03\xff\xff\xff")});
  ChannelReader reader(channel);
  v1::Report report;
  EXPECT_THAT(reader.ReadMessage(report, kSoon), HasReason(Reason::PROTOCOL, HasSubstr("does not parse")));
}

TEST(ChannelReader, TooLongAMessageIsNotSent) {
  ScriptedChannel channel({});
  EXPECT_THAT(WriteMessage(Report(std::string(kMaxLinkMessage, 'x')), channel, kSoon), HasReason(Reason::MALFORMED));
  EXPECT_EQ(channel.written(), "");
}

}  // namespace
}  // namespace certcast::controller
