// `rollout: {windows: ...}`: what it may say, and every mistake with the exact words for it.
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controller/config/config.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

absl::StatusOr<Config> Parse(const std::string& windows) {
  return ParseConfig(absl::StrCat(R"(state: /var/lib/certcast
master_key: {file: /etc/certcast/master.key}
certificates:
  - name: shop
    domains: [shop.example.com]
    nodes: all
    rollout:
      windows: )",
                                  windows, R"(
nodes: [{name: web-01, address: "grpc://10.0.0.1:7444"}]
)"),
                     "c.yaml");
}

RolloutWindows Windows(const std::string& windows) {
  const auto config = Parse(windows);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? config->certificates[0].rollout.windows.value() : RolloutWindows();
}

TEST(ReadWindows, ACertificateWithoutThemIsAlwaysOpen) {
  const auto config = ParseConfig(
      "{state: /s, master_key: {file: /k}, certificates: [{name: a, domains: [a.example.com], rollout: {}}]}",
      "c.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->certificates[0].rollout.windows.has_value());
}

TEST(ReadWindows, ReadsOneOverMidnight) {
  const RolloutWindows windows = Windows(
      "{time_zone: Europe/Berlin, days: [mon, tue], start: \"22:00\", end: 04:30, "
      "blackout: [2026-12-24, {from: 2026-12-24, to: 2027-01-02}]}");
  EXPECT_EQ(windows.zone.name(), "Europe/Berlin");
  ASSERT_EQ(windows.weekly.size(), 1u);
  EXPECT_EQ(windows.weekly[0].days.to_string(), "0000011");
  EXPECT_EQ(windows.weekly[0].start, 22 * 60);
  EXPECT_EQ(windows.weekly[0].end, 4 * 60 + 30);
  ASSERT_EQ(windows.blackout.size(), 2u);
  EXPECT_EQ(windows.blackout[0].from, absl::CivilDay(2026, 12, 24));
  EXPECT_EQ(windows.blackout[0].to, absl::CivilDay(2026, 12, 24));
  EXPECT_EQ(windows.blackout[1].to, absl::CivilDay(2027, 1, 2));
}

TEST(ReadWindows, DaysThatAreNamedAreThoseOfTheCalendar) {
  // 2026-11-22 is a Sunday.
  const absl::Time sunday = absl::FromCivil(absl::CivilDay(2026, 11, 22), absl::UTCTimeZone()) + absl::Hours(12);
  const std::vector<std::string> days = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
  for (size_t i = 0; i < days.size(); ++i) {
    const RolloutWindows windows = Windows(absl::StrCat("{time_zone: UTC, days: [", days[i], "]}"));
    for (size_t day = 0; day < days.size(); ++day) {
      EXPECT_EQ(IsOpen(windows, sunday + absl::Hours(24) * day), i == day) << days[i];
    }
  }
}

TEST(ReadWindows, WithoutStartAndEndADayIsWhole) {
  const RolloutWindows windows = Windows("{time_zone: UTC, days: [sat, sun]}");
  EXPECT_EQ(windows.weekly[0].start, 0);
  EXPECT_EQ(windows.weekly[0].end, WeeklyWindow::kDay);
}

TEST(ReadWindows, WithABlackoutAloneItIsOpenOtherwise) {
  const RolloutWindows windows = Windows("{time_zone: UTC, blackout: [2026-12-24]}");
  const absl::Time eve = absl::FromCivil(absl::CivilDay(2026, 12, 24), absl::UTCTimeZone());
  EXPECT_EQ(NextClosing(windows, eve - absl::Hours(100)), eve);
  EXPECT_EQ(NextOpening(windows, eve), eve + absl::Hours(24));
}

TEST(ReadWindows, MidnightIsAnEndUnderBothItsNames) {
  for (const std::string end : {"00:00", "24:00"}) {
    EXPECT_EQ(Windows(absl::StrCat("{time_zone: UTC, start: 20:00, end: ", end, "}")).weekly[0].end,
              WeeklyWindow::kDay);
  }
}

TEST(ReadWindows, ReadsSeveral) {
  const RolloutWindows windows = Windows(
      "{time_zone: UTC, open: [{days: [mon], start: 22:00, end: 04:00}, {days: [sat]}, {start: 12:00, end: 12:30}]}");
  ASSERT_EQ(windows.weekly.size(), 3u);
  EXPECT_EQ(windows.weekly[1].days.to_string(), "0100000");
  EXPECT_TRUE(windows.weekly[2].days.all());
  EXPECT_EQ(windows.weekly[2].end, 12 * 60 + 30);
}

// $ is `at certificates[0].rollout.windows`.
struct Mistake {
  const char* name;
  std::string windows;
  std::string error;

  friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.windows; }
};

class WindowErrors : public ::testing::TestWithParam<Mistake> {};

TEST_P(WindowErrors, NameThePlaceAndWhatIsExpected) {
  const std::string error = absl::StrReplaceAll(GetParam().error, {{"$", "at certificates[0].rollout.windows"}});
  EXPECT_EQ(Parse(GetParam().windows).status().message(), error);
}

INSTANTIATE_TEST_SUITE_P(
    All, WindowErrors,
    ::testing::Values(
        Mistake{"AList", "[{time_zone: UTC}]",
                "c.yaml:8:16: $: found a list, expected a map with time_zone, days, start, end and blackout; several "
                "windows are a list under `open`"},
        Mistake{"AText", "22:00-04:00",
                R"(c.yaml:8:16: $: found "22:00-04:00", expected a map with time_zone, days, start, end and blackout)"},
        Mistake{"NoTimeZone", "{days: [mon]}",
                R"(c.yaml:8:16: $: missing key "time_zone"; an IANA name such as Europe/Berlin or UTC)"},
        Mistake{
            "UnknownTimeZone", "{time_zone: Europe/Berlni}",
            R"(c.yaml:8:28: $.time_zone: found "Europe/Berlni", expected a time zone's IANA name such as Europe/Berlin or UTC; `timedatectl list-timezones` lists them; upper and lower case differ)"},
        Mistake{
            "AnAbbreviation", "{time_zone: CEST}",
            R"(c.yaml:8:28: $.time_zone: found "CEST", expected a time zone's IANA name such as Europe/Berlin or UTC; `timedatectl list-timezones` lists them; upper and lower case differ)"},
        Mistake{
            "TheMachinesOwn", "{time_zone: localtime}",
            R"(c.yaml:8:28: $.time_zone: found "localtime", expected a time zone's IANA name such as Europe/Berlin or UTC; `timedatectl list-timezones` lists them; upper and lower case differ)"},
        Mistake{"UnknownKey", "{time_zone: UTC, day: [mon]}",
                R"(c.yaml:8:33: $: unknown key "day"; did you mean days?)"},
        Mistake{
            "UnknownDay", "{time_zone: UTC, days: [mon, mo]}",
            R"(c.yaml:8:45: $.days[1]: found "mo", expected one of mon, tue, wed, thu, fri, sat, sun; did you mean mon?)"},
        Mistake{"DayTwice", "{time_zone: UTC, days: [mon, tue, mon]}", "c.yaml:8:50: $.days[2]: found mon twice"},
        Mistake{"NoDays", "{time_zone: UTC, days: []}",
                "c.yaml:8:39: $.days: found an empty list, expected days such as [mon, tue]"},
        Mistake{"OneDayWithoutList", "{time_zone: UTC, days: mon}",
                R"(c.yaml:8:39: $.days: found "mon", expected days such as [mon, tue])"},
        Mistake{"StartWithoutEnd", "{time_zone: UTC, start: 22:00}",
                R"(c.yaml:8:16: $: missing key "end"; whole days have neither start nor end)"},
        Mistake{"EndWithoutStart", "{time_zone: UTC, end: 22:00}",
                R"(c.yaml:8:16: $: missing key "start"; whole days have neither start nor end)"},
        Mistake{
            "NotATime", "{time_zone: UTC, start: 10pm, end: 04:00}",
            R"(c.yaml:8:40: $.start: found "10pm", expected a time of the day from 00:00 to 23:59; write it with two digits each, as 06:30)"},
        Mistake{
            "OneDigit", "{time_zone: UTC, start: 6:00, end: 08:00}",
            R"(c.yaml:8:40: $.start: found "6:00", expected a time of the day from 00:00 to 23:59; write it with two digits each, as 06:30)"},
        Mistake{
            "StartAt24", "{time_zone: UTC, start: 24:00, end: 08:00}",
            R"(c.yaml:8:40: $.start: found "24:00", expected a time of the day from 00:00 to 23:59; write it with two digits each, as 06:30)"},
        Mistake{
            "Minute60", "{time_zone: UTC, start: 22:00, end: 23:60}",
            R"(c.yaml:8:52: $.end: found "23:60", expected a time of the day from 00:00 to 24:00; write it with two digits each, as 06:30)"},
        Mistake{
            "EndAfter24", "{time_zone: UTC, start: 22:00, end: 24:01}",
            R"(c.yaml:8:52: $.end: found "24:01", expected a time of the day from 00:00 to 24:00; write it with two digits each, as 06:30)"},
        Mistake{
            "Empty", "{time_zone: UTC, start: 22:00, end: 22:00}",
            R"(c.yaml:8:52: $.end: found "22:00", expected another time than start; leave both out for whole days)"},
        Mistake{"OpenBesideDays", "{time_zone: UTC, days: [mon], open: [{days: [tue]}]}",
                "c.yaml:8:39: $.days: found days beside open; write it in each entry of open"},
        Mistake{"OpenWithoutAny", "{time_zone: UTC, open: []}",
                "c.yaml:8:39: $.open: found an empty list, expected a list of windows"},
        Mistake{"TimeZoneOfOne", "{time_zone: UTC, open: [{time_zone: UTC, days: [mon]}]}",
                R"(c.yaml:8:41: $.open[0]: unknown key "time_zone"; known here: days, start, end)"},
        Mistake{"NotADate", "{time_zone: UTC, blackout: [24.12.2026]}",
                R"(c.yaml:8:44: $.blackout[0]: found "24.12.2026", expected a date such as 2026-12-24)"},
        Mistake{"NoSuchDate", "{time_zone: UTC, blackout: [2026-02-30]}",
                R"(c.yaml:8:44: $.blackout[0]: found "2026-02-30", expected a date such as 2026-12-24)"},
        Mistake{
            "DateWithoutList", "{time_zone: UTC, blackout: 2026-12-24}",
            R"(c.yaml:8:43: $.blackout: found "2026-12-24", expected dates such as 2026-12-24, and spans such as {from: 2026-12-24, to: 2027-01-02})"},
        Mistake{"SpanWithoutEnd", "{time_zone: UTC, blackout: [{from: 2026-12-24}]}",
                R"(c.yaml:8:44: $.blackout[0]: missing key "to")"},
        Mistake{"SpanBackwards", "{time_zone: UTC, blackout: [{from: 2026-12-24, to: 2026-01-02}]}",
                R"(c.yaml:8:67: $.blackout[0].to: found "2026-01-02", expected a date that is not before from)"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace certcast::controller
