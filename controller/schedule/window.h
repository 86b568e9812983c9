// When a rollout may touch nodes: a pure function of the windows and a time.
//
// A window is open while the clock on the wall of its time zone shows a time from `start` until before `end`, on the
// days it is for, and no blackout date. That settles what a change of the clocks does, without a rule of its own:
//   - a time that does not exist that day is passed over: 02:30 to 05:00 opens at 03:00 where the clock goes from 02:00
//     to 03:00, and 02:00 to 03:00 does not open at all that day;
//   - a time that the clock shows twice is open twice: 02:30 to 05:00 is closed again from 02:00 to 02:30 where the
//     clock goes back from 03:00 to 02:00.
#ifndef CERTCAST_CONTROLLER_SCHEDULE_WINDOW_H_
#define CERTCAST_CONTROLLER_SCHEDULE_WINDOW_H_

#include <bitset>
#include <string>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace certcast::controller {

// The same on each of its days.
struct WeeklyWindow {
  static constexpr int kDay = 24 * 60;
  // Days on which it begins, by absl::Weekday.
  std::bitset<7> days = std::bitset<7>().set();
  // Minutes since midnight: start from 0 to kDay - 1, end from 1 to kDay. An end that is not above the start is on the
  // day after, which needs not be one of `days`.
  int start = 0;
  int end = kDay;
};

// Both ends included.
struct BlackoutDates {
  absl::CivilDay from;
  absl::CivilDay to;
};

struct RolloutWindows {
  absl::TimeZone zone = absl::UTCTimeZone();
  // Open while any of them is.
  std::vector<WeeklyWindow> weekly;
  // Dates of the zone, midnight to midnight, on which none is open, also where it began the evening before.
  std::vector<BlackoutDates> blackout;
};

// Beyond this nothing is looked for: longer than any certificate that a public CA issues.
inline constexpr absl::Duration kWindowHorizon = absl::Hours(24 * 366 * 3);

bool IsOpen(const RolloutWindows& windows, absl::Time time);

// `from` itself while open, else when they open next. InfiniteFuture: not within kWindowHorizon.
absl::Time NextOpening(const RolloutWindows& windows, absl::Time from);

// `from` itself while closed, else when they close next. InfiniteFuture: not within kWindowHorizon.
absl::Time NextClosing(const RolloutWindows& windows, absl::Time from);

// For how long they are open from `from` until before `until`, all openings together; at most `enough`, where the
// counting ends.
absl::Duration OpenTime(const RolloutWindows& windows, absl::Time from, absl::Time until, absl::Duration enough);

// `Mon 2026-11-23 22:00 CET (Europe/Berlin)`; `never` for InfiniteFuture.
std::string ShowInZone(const absl::TimeZone& zone, absl::Time time);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_SCHEDULE_WINDOW_H_
