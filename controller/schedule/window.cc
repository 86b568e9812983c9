#include "controller/schedule/window.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace certcast::controller {
namespace {

using absl::CivilDay;
using absl::CivilMinute;

bool BeginsOn(const WeeklyWindow& window, CivilDay day) {
  return window.days.test(static_cast<size_t>(absl::GetWeekday(day)));
}

bool Covers(const WeeklyWindow& window, CivilDay day, int minute) {
  if (window.start < window.end) return BeginsOn(window, day) && minute >= window.start && minute < window.end;
  return (BeginsOn(window, day) && minute >= window.start) || (BeginsOn(window, day - 1) && minute < window.end);
}

// Keeps the earliest that is later than `after`.
void Offer(absl::Time candidate, absl::Time after, absl::Time& earliest) {
  if (candidate > after && candidate < earliest) earliest = candidate;
}

// Each moment at which the clock shows `minute`, or passes over it.
void OfferMoments(const absl::TimeZone& zone, CivilMinute minute, absl::Time after, absl::Time& earliest) {
  const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(minute));
  if (info.kind != absl::TimeZone::TimeInfo::SKIPPED) {
    Offer(info.pre, after, earliest);
    Offer(info.post, after, earliest);
  }
  Offer(info.trans, after, earliest);
}

// The next moment at which anything may change; between two of them nothing does.
absl::Time NextChange(const RolloutWindows& windows, absl::Time after) {
  absl::Time earliest = absl::InfiniteFuture();
  absl::TimeZone::CivilTransition transition;
  if (windows.zone.NextTransition(after, &transition)) {
    Offer(windows.zone.At(transition.to).post, after, earliest);
    Offer(windows.zone.At(transition.to).trans, after, earliest);
  }
  const CivilDay today(windows.zone.At(after).cs);
  // Clocks may go back over midnight, so yesterday can come again; tomorrow's midnight is there in any case.
  for (CivilDay day = today - 1; day <= today + 1; ++day) {
    OfferMoments(windows.zone, CivilMinute(day), after, earliest);
    for (const WeeklyWindow& window : windows.weekly) {
      OfferMoments(windows.zone, CivilMinute(day) + window.start, after, earliest);
      OfferMoments(windows.zone, CivilMinute(day) + window.end, after, earliest);
    }
  }
  return earliest;
}

absl::Time NextWhere(const RolloutWindows& windows, absl::Time from, bool open) {
  for (absl::Time time = from; time - from <= kWindowHorizon; time = NextChange(windows, time)) {
    if (IsOpen(windows, time) == open) return time;
  }
  return absl::InfiniteFuture();
}

}  // namespace

bool IsOpen(const RolloutWindows& windows, absl::Time time) {
  const absl::CivilSecond local = windows.zone.At(time).cs;
  const CivilDay day(local);
  const bool blacked_out =
      std::any_of(windows.blackout.begin(), windows.blackout.end(),
                  [&](const BlackoutDates& dates) { return day >= dates.from && day <= dates.to; });
  if (blacked_out) return false;
  const int minute = local.hour() * 60 + local.minute();
  return std::any_of(windows.weekly.begin(), windows.weekly.end(),
                     [&](const WeeklyWindow& window) { return Covers(window, day, minute); });
}

absl::Time NextOpening(const RolloutWindows& windows, absl::Time from) {
  return NextWhere(windows, from, true);
}

absl::Time NextClosing(const RolloutWindows& windows, absl::Time from) {
  return NextWhere(windows, from, false);
}

absl::Duration OpenTime(const RolloutWindows& windows, absl::Time from, absl::Time until, absl::Duration enough) {
  absl::Duration total;
  for (absl::Time time = from; total < enough;) {
    const absl::Time opens = NextOpening(windows, time);
    if (opens >= until) break;
    time = NextClosing(windows, opens);
    total += std::min(time, until) - opens;
  }
  return std::min(total, enough);
}

std::string ShowInZone(const absl::TimeZone& zone, absl::Time time) {
  if (time == absl::InfiniteFuture()) return "never";
  return absl::StrCat(absl::FormatTime("%a %Y-%m-%d %H:%M %Z", time, zone), " (", zone.name(), ")");
}

}  // namespace certcast::controller
