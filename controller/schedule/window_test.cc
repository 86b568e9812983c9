#include "controller/schedule/window.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;

absl::TimeZone Zone(const std::string& name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(name, &zone)) << name;
  return zone;
}

// `2026-11-23T22:00+01:00`.
absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime("%Y-%m-%dT%H:%M%Ez", text, &time, &error)) << text << ": " << error;
  return time;
}

constexpr int kMonday = 0;
constexpr int kTuesday = 1;
constexpr int kSunday = 6;

std::bitset<7> Days(const std::vector<int>& days) {
  std::bitset<7> set;
  for (int day : days) set.set(static_cast<size_t>(day));
  return set;
}

constexpr int Clock(int hour, int minute = 0) {
  return hour * 60 + minute;
}

RolloutWindows One(const std::string& zone, std::bitset<7> days, int start, int end) {
  return {.zone = Zone(zone), .weekly = {{.days = days, .start = start, .end = end}}};
}

// The openings that begin within that span, as the zone's clock and offset show them.
std::vector<std::string> Openings(const RolloutWindows& windows, absl::Time from, absl::Time until) {
  std::vector<std::string> openings;
  for (absl::Time time = NextOpening(windows, from); time < until; time = NextOpening(windows, time)) {
    const absl::Time end = NextClosing(windows, time);
    openings.push_back(absl::StrCat(absl::FormatTime("%d %H:%M%Ez", time, windows.zone), " to ",
                                    absl::FormatTime("%d %H:%M%Ez", end, windows.zone)));
    time = end;
  }
  return openings;
}

TEST(Window, IsOpenFromItsStartUntilBeforeItsEnd) {
  const RolloutWindows windows = One("Europe/Berlin", Days({kMonday}), Clock(9), Clock(17));
  EXPECT_FALSE(IsOpen(windows, At("2026-11-23T09:00+01:00") - absl::Nanoseconds(1)));
  EXPECT_TRUE(IsOpen(windows, At("2026-11-23T09:00+01:00")));
  EXPECT_TRUE(IsOpen(windows, At("2026-11-23T17:00+01:00") - absl::Nanoseconds(1)));
  EXPECT_FALSE(IsOpen(windows, At("2026-11-23T17:00+01:00")));
  EXPECT_FALSE(IsOpen(windows, At("2026-11-24T09:00+01:00")));
}

TEST(Window, SaysNowWhileItIsOpenAndTheNextStartOtherwise) {
  const RolloutWindows windows = One("Europe/Berlin", Days({kMonday}), Clock(9), Clock(17));
  const absl::Time within = At("2026-11-23T12:34+01:00") + absl::Nanoseconds(5);
  EXPECT_EQ(NextOpening(windows, within), within);
  EXPECT_EQ(NextClosing(windows, within), At("2026-11-23T17:00+01:00"));
  const absl::Time after = At("2026-11-23T17:00+01:00");
  EXPECT_EQ(NextOpening(windows, after), At("2026-11-30T09:00+01:00"));
  EXPECT_EQ(NextClosing(windows, after), after);
}

TEST(Window, OverMidnightBelongsToTheDayOnWhichItBegins) {
  const RolloutWindows windows = One("Europe/Berlin", Days({kMonday, kTuesday}), Clock(22), Clock(4));
  EXPECT_THAT(Openings(windows, At("2026-11-23T00:00+01:00"), At("2026-11-30T00:00+01:00")),
              ElementsAre("23 22:00+01:00 to 24 04:00+01:00", "24 22:00+01:00 to 25 04:00+01:00"));
  EXPECT_FALSE(IsOpen(windows, At("2026-11-23T03:00+01:00")));
}

TEST(Window, WholeDaysThatFollowOneAnotherAreOneOpening) {
  const RolloutWindows windows = One("Europe/Berlin", Days({5, kSunday}), 0, WeeklyWindow::kDay);
  EXPECT_THAT(Openings(windows, At("2026-11-23T00:00+01:00"), At("2026-11-30T00:00+01:00")),
              ElementsAre("28 00:00+01:00 to 30 00:00+01:00"));
}

TEST(Window, IsOpenWhileAnyOfSeveralIs) {
  RolloutWindows windows = One("UTC", Days({kMonday}), Clock(1), Clock(3));
  windows.weekly.push_back({.days = Days({kMonday}), .start = Clock(2), .end = Clock(5)});
  windows.weekly.push_back({.days = Days({kMonday}), .start = Clock(8), .end = Clock(9)});
  EXPECT_THAT(Openings(windows, At("2026-11-23T00:00+00:00"), At("2026-11-24T00:00+00:00")),
              ElementsAre("23 01:00+00:00 to 23 05:00+00:00", "23 08:00+00:00 to 23 09:00+00:00"));
}

TEST(Window, ABlackoutClosesItFromMidnightToMidnightOfItsZone) {
  RolloutWindows windows = One("Europe/Berlin", Days({0, 1, 2, 3, 4, 5, 6}), Clock(22), Clock(4));
  windows.blackout = {{absl::CivilDay(2026, 12, 24), absl::CivilDay(2026, 12, 25)}};
  EXPECT_THAT(Openings(windows, At("2026-12-23T12:00+01:00"), At("2026-12-27T00:00+01:00")),
              ElementsAre("23 22:00+01:00 to 24 00:00+01:00", "26 00:00+01:00 to 26 04:00+01:00",
                          "26 22:00+01:00 to 27 04:00+01:00"));
}

TEST(Window, NeverOpensWithinTheHorizonWhereABlackoutIsLonger) {
  RolloutWindows windows = One("UTC", Days({kMonday}), Clock(1), Clock(3));
  windows.blackout = {{absl::CivilDay(2026, 1, 1), absl::CivilDay(2040, 1, 1)}};
  EXPECT_EQ(NextOpening(windows, At("2026-11-23T00:00+00:00")), absl::InfiniteFuture());
  EXPECT_EQ(ShowInZone(windows.zone, absl::InfiniteFuture()), "never");
}

TEST(Window, NeverClosesWhereItIsForEveryHourOfTheWeek) {
  const RolloutWindows windows = {.weekly = {WeeklyWindow()}};
  const absl::Time now = At("2026-11-23T00:00+00:00");
  EXPECT_EQ(NextOpening(windows, now), now);
  EXPECT_EQ(NextClosing(windows, now), absl::InfiniteFuture());
  EXPECT_EQ(OpenTime(windows, now, now + absl::Hours(50), absl::Hours(80)), absl::Hours(50));
}

TEST(Window, OpenTimeAddsUpWhatIsOpenBeforeADate) {
  const RolloutWindows windows = One("Europe/Berlin", Days({kMonday, kTuesday}), Clock(22), Clock(4));
  const absl::Time now = At("2026-11-23T12:00+01:00");
  const absl::Duration much = absl::Hours(1000);
  EXPECT_EQ(OpenTime(windows, now, At("2026-11-23T22:00+01:00"), much), absl::ZeroDuration());
  EXPECT_EQ(OpenTime(windows, now, At("2026-11-24T01:30+01:00"), much), absl::Minutes(210));
  EXPECT_EQ(OpenTime(windows, now, At("2026-11-29T00:00+01:00"), much), absl::Hours(12));
  EXPECT_EQ(OpenTime(windows, now, At("2026-11-29T00:00+01:00"), absl::Hours(7)), absl::Hours(7));
  EXPECT_EQ(OpenTime(windows, now, now - absl::Hours(1), much), absl::ZeroDuration());
}

// --- Where the clock is changed.

struct Change {
  std::string name;
  std::string zone;
  int start;
  int end;
  // Two days around the change.
  std::string from;
  std::string until;
  std::vector<std::string> openings;

  friend void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }
};

class ClockChange : public ::testing::TestWithParam<Change> {};

TEST_P(ClockChange, OpensWhileTheClockOnTheWallShowsIt) {
  const Change& change = GetParam();
  const RolloutWindows windows = One(change.zone, std::bitset<7>().set(), change.start, change.end);
  EXPECT_EQ(Openings(windows, At(change.from), At(change.until)), change.openings);
}

INSTANTIATE_TEST_SUITE_P(
    BothHemispheres, ClockChange,
    ::testing::Values(Change{"BerlinForwardStartDoesNotExist",
                             "Europe/Berlin",
                             Clock(2, 30),
                             Clock(5),
                             "2026-03-28T12:00+01:00",
                             "2026-03-30T12:00+02:00",
                             {"29 03:00+02:00 to 29 05:00+02:00", "30 02:30+02:00 to 30 05:00+02:00"}},
                      Change{"BerlinForwardEndDoesNotExist",
                             "Europe/Berlin",
                             Clock(1),
                             Clock(2, 30),
                             "2026-03-28T12:00+01:00",
                             "2026-03-30T12:00+02:00",
                             {"29 01:00+01:00 to 29 03:00+02:00", "30 01:00+02:00 to 30 02:30+02:00"}},
                      Change{"BerlinForwardNothingOfItExists",
                             "Europe/Berlin",
                             Clock(2),
                             Clock(3),
                             "2026-03-28T12:00+01:00",
                             "2026-03-30T12:00+02:00",
                             {"30 02:00+02:00 to 30 03:00+02:00"}},
                      Change{"BerlinForwardWithin",
                             "Europe/Berlin",
                             Clock(22),
                             Clock(4),
                             "2026-03-28T12:00+01:00",
                             "2026-03-29T12:00+02:00",
                             {"28 22:00+01:00 to 29 04:00+02:00"}},
                      Change{"BerlinBackStartTwice",
                             "Europe/Berlin",
                             Clock(2, 30),
                             Clock(5),
                             "2026-10-24T12:00+02:00",
                             "2026-10-25T12:00+01:00",
                             {"25 02:30+02:00 to 25 02:00+01:00", "25 02:30+01:00 to 25 05:00+01:00"}},
                      Change{"BerlinBackEndTwice",
                             "Europe/Berlin",
                             Clock(22),
                             Clock(2, 30),
                             "2026-10-24T12:00+02:00",
                             "2026-10-25T12:00+01:00",
                             {"24 22:00+02:00 to 25 02:30+02:00", "25 02:00+01:00 to 25 02:30+01:00"}},
                      Change{"BerlinBackAllOfItTwice",
                             "Europe/Berlin",
                             Clock(2, 15),
                             Clock(2, 45),
                             "2026-10-24T12:00+02:00",
                             "2026-10-25T12:00+01:00",
                             {"25 02:15+02:00 to 25 02:45+02:00", "25 02:15+01:00 to 25 02:45+01:00"}},
                      Change{"SydneyForwardStartDoesNotExist",
                             "Australia/Sydney",
                             Clock(2, 30),
                             Clock(5),
                             "2026-10-03T12:00+10:00",
                             "2026-10-04T12:00+11:00",
                             {"04 03:00+11:00 to 04 05:00+11:00"}},
                      Change{"SydneyBackStartTwice",
                             "Australia/Sydney",
                             Clock(2, 30),
                             Clock(5),
                             "2026-04-04T12:00+11:00",
                             "2026-04-05T12:00+10:00",
                             {"05 02:30+11:00 to 05 02:00+10:00", "05 02:30+10:00 to 05 05:00+10:00"}},
                      // By half an hour.
                      Change{"LordHoweBack",
                             "Australia/Lord_Howe",
                             Clock(1, 45),
                             Clock(3),
                             "2026-04-04T12:00+11:00",
                             "2026-04-05T12:00+10:30",
                             {"05 01:45+11:00 to 05 01:30+10:30", "05 01:45+10:30 to 05 03:00+10:30"}},
                      // At midnight: the evening comes twice.
                      Change{"SantiagoBackOverMidnight",
                             "America/Santiago",
                             Clock(23, 30),
                             Clock(1),
                             "2026-04-04T12:00-03:00",
                             "2026-04-05T12:00-04:00",
                             {"04 23:30-03:00 to 04 23:00-04:00", "04 23:30-04:00 to 05 01:00-04:00"}},
                      // Midnight does not exist.
                      Change{"SantiagoForwardAtMidnight",
                             "America/Santiago",
                             Clock(0, 15),
                             Clock(2),
                             "2026-09-05T12:00-04:00",
                             "2026-09-06T12:00-03:00",
                             {"06 01:00-03:00 to 06 02:00-03:00"}},
                      // The whole of December 30 was passed over.
                      Change{"ApiaADayThatDoesNotExist",
                             "Pacific/Apia",
                             Clock(22),
                             Clock(4),
                             "2011-12-29T12:00-10:00",
                             "2011-12-31T12:00+14:00",
                             {"29 22:00-10:00 to 31 04:00+14:00"}}),
    [](const auto& info) { return info.param.name; });

TEST(Window, AWeeklyOneThatDoesNotExistOpensTheWeekAfter) {
  const RolloutWindows windows = One("Europe/Berlin", Days({kSunday}), Clock(2), Clock(3));
  EXPECT_EQ(NextOpening(windows, At("2026-03-28T12:00+01:00")), At("2026-04-05T02:00+02:00"));
}

TEST(Window, IsShownInItsZoneWithItsName) {
  EXPECT_EQ(ShowInZone(Zone("Europe/Berlin"), At("2026-11-23T21:00+00:00")),
            "Mon 2026-11-23 22:00 CET (Europe/Berlin)");
}

// --- Any windows, any time, against looking at each minute.

struct Random {
  std::mt19937_64 engine;
  int Below(int bound) { return static_cast<int>(engine() % static_cast<uint64_t>(bound)); }
};

RolloutWindows AnyWindows(Random& random, const absl::TimeZone& zone, absl::Time around) {
  RolloutWindows windows = {.zone = zone};
  for (int i = 1 + random.Below(3); i > 0; --i) {
    WeeklyWindow window;
    // Most of them narrow and in the small hours, where clocks are changed.
    window.days = std::bitset<7>(static_cast<unsigned long long>(1 + random.Below(127)));
    window.start = random.Below(3) == 0 ? random.Below(24 * 60) : random.Below(5 * 60);
    window.end = random.Below(3) == 0 ? 1 + random.Below(24 * 60) : window.start + 1 + random.Below(180);
    if (window.end > WeeklyWindow::kDay) window.end -= WeeklyWindow::kDay;
    if (window.end == window.start) continue;
    windows.weekly.push_back(window);
  }
  const absl::CivilDay day(zone.At(around).cs);
  for (int i = random.Below(3); i > 0; --i) {
    const absl::CivilDay from = day + random.Below(8) - 2;
    windows.blackout.push_back({from, from + random.Below(3)});
  }
  return windows;
}

// Not by IsOpen: this spells out what window.h says, for one minute.
bool OpenAtMinute(const RolloutWindows& windows, absl::Time time) {
  const absl::CivilMinute local(windows.zone.At(time).cs);
  const absl::CivilDay today(local);
  for (const BlackoutDates& dates : windows.blackout) {
    if (dates.from <= today && today <= dates.to) return false;
  }
  for (const WeeklyWindow& window : windows.weekly) {
    for (const absl::CivilDay day : {today - 1, today}) {
      if (!window.days[static_cast<size_t>(absl::GetWeekday(day))]) continue;
      const int length = window.end > window.start ? window.end - window.start : window.end + 1440 - window.start;
      const absl::CivilMinute start = absl::CivilMinute(day) + window.start;
      if (start <= local && local < start + length) return true;
    }
  }
  return false;
}

TEST(WindowProperty, AgreesWithLookingAtEachMinute) {
  const std::vector<std::pair<std::string, std::string>> zones = {
      {"Europe/Berlin", "2026-03-29T01:00+00:00"},       {"Europe/Berlin", "2026-10-25T01:00+00:00"},
      {"America/New_York", "2026-03-08T07:00+00:00"},    {"America/New_York", "2026-11-01T06:00+00:00"},
      {"Australia/Lord_Howe", "2026-04-04T15:00+00:00"}, {"Australia/Sydney", "2026-10-03T16:00+00:00"},
      {"America/Santiago", "2026-04-05T03:00+00:00"},    {"America/Santiago", "2026-09-06T04:00+00:00"},
      {"Africa/Casablanca", "2026-02-15T02:00+00:00"},   {"Pacific/Apia", "2011-12-30T10:00+00:00"},
      {"Asia/Kolkata", "2026-06-01T00:00+00:00"},        {"UTC", "2026-12-31T23:00+00:00"}};
  constexpr int kMinutes = 6 * 24 * 60;
  Random random{std::mt19937_64(20261122)};
  int openings = 0;
  for (int round = 0; round < 600; ++round) {
    const auto& [name, change] = zones[static_cast<size_t>(round) % zones.size()];
    const absl::TimeZone zone = Zone(name);
    const absl::Time from = At(change) + absl::Minutes(random.Below(4 * 1440) - 3 * 1440);
    const RolloutWindows windows = AnyWindows(random, zone, from);
    SCOPED_TRACE(absl::StrCat("round ", round, " in ", name, " from ", absl::FormatTime(from, zone)));
    std::vector<bool> open;
    for (int minute = 0; minute < kMinutes; ++minute) {
      open.push_back(OpenAtMinute(windows, from + absl::Minutes(minute)));
    }
    // From the beginning, and from some minute further on.
    for (const int begin : {0, random.Below(kMinutes)}) {
      const absl::Time now = from + absl::Minutes(begin);
      const absl::Time end = from + absl::Minutes(kMinutes);
      const auto opens = std::find(open.begin() + begin, open.end(), true);
      const auto closes = std::find(open.begin() + begin, open.end(), false);
      const auto time_of = [&](auto place) { return from + absl::Minutes(place - open.begin()); };
      ASSERT_EQ(IsOpen(windows, now), open[static_cast<size_t>(begin)]);
      ASSERT_EQ(std::min(NextOpening(windows, now), end), time_of(opens));
      ASSERT_EQ(std::min(NextClosing(windows, now), end), time_of(closes));
      ASSERT_EQ(OpenTime(windows, now, end, absl::InfiniteDuration()),
                absl::Minutes(std::count(open.begin() + begin, open.end(), true)));
    }
    openings += std::find(open.begin(), open.end(), true) != open.end();
  }
  EXPECT_GT(openings, 400) << "too few of the cases open at all";
}

}  // namespace
}  // namespace certcast::controller
