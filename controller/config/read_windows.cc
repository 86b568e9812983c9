#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "controller/config/sections.h"
#include "controller/schedule/time_zone.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxWindows = 16;
constexpr size_t kMaxBlackouts = 200;
// As absl::Weekday counts.
constexpr std::array<absl::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

absl::TimeZone ReadTimeZone(const yaml::Value& value) {
  const std::string name = value.Text("a time zone's IANA name such as Europe/Berlin or UTC");
  if (name.empty()) return absl::UTCTimeZone();
  const auto zone = FindTimeZone(name);
  value.Fail(zone.status());
  return zone.ok() ? *zone : absl::UTCTimeZone();
}

// Minutes since midnight. Nothing after an error.
std::optional<int> ReadTimeOfDay(const yaml::Value& value, int most) {
  constexpr absl::string_view kExpected = "a time of the day from 00:00 to ";
  const std::string expected = absl::StrCat(kExpected, most == WeeklyWindow::kDay ? "24:00" : "23:59");
  const std::string text = value.Text(expected);
  if (text.empty()) return std::nullopt;
  const bool shaped = text.size() == 5 && text[2] == ':' && std::all_of(text.begin(), text.end(), [](char c) {
                        return c == ':' || absl::ascii_isdigit(static_cast<unsigned char>(c));
                      });
  const auto hour = shaped ? ParseWholeNumber(text.substr(0, 2)) : ParseWholeNumber("");
  const auto minute = shaped ? ParseWholeNumber(text.substr(3)) : ParseWholeNumber("");
  if (hour.ok() && minute.ok() && *minute < 60 && *hour * 60 + *minute <= most) return *hour * 60 + *minute;
  value.FailExpected(expected, "write it with two digits each, as 06:30");
  return std::nullopt;
}

std::bitset<7> ReadDays(const yaml::Value& value) {
  std::bitset<7> days;
  const std::vector<absl::string_view> words(kDays.begin(), kDays.end());
  for (const yaml::Value& item : value.Items("days such as [mon, tue]", 1, kDays.size())) {
    const std::string word = item.Word(words);
    const auto day = static_cast<size_t>(std::find(kDays.begin(), kDays.end(), word) - kDays.begin());
    if (days.test(day) && item.is_text() && item.Text() == word) item.Fail(absl::StrCat("found ", word, " twice"));
    days.set(day);
  }
  return days;
}

// `days`, `start` and `end` of the map; without any of them it is always open.
WeeklyWindow ReadWeekly(const yaml::Map& map) {
  WeeklyWindow window;
  if (const yaml::Value days = map.Find("days")) window.days = ReadDays(days);
  const bool whole_days = !map.Find("start") && !map.Find("end");
  if (whole_days) return window;
  const yaml::Value end_value = map.Require("end", "whole days have neither start nor end");
  const auto start =
      ReadTimeOfDay(map.Require("start", "whole days have neither start nor end"), WeeklyWindow::kDay - 1);
  const auto end = ReadTimeOfDay(end_value, WeeklyWindow::kDay);
  if (!start || !end) return window;
  if (*start == *end) end_value.FailExpected("another time than start", "leave both out for whole days");
  window.start = *start;
  // 00:00 is the midnight after the start.
  window.end = *end == 0 ? WeeklyWindow::kDay : *end;
  return window;
}

std::vector<WeeklyWindow> ReadOpen(const yaml::Map& map) {
  const yaml::Value open = map.Find("open");
  if (!open) return {ReadWeekly(map)};
  for (absl::string_view key : {"days", "start", "end"}) {
    if (const yaml::Value beside = map.Find(key)) {
      beside.Fail(absl::StrCat("found ", key, " beside open"), "write it in each entry of open");
    }
  }
  std::vector<WeeklyWindow> weekly;
  for (const yaml::Value& item : open.Items("a list of windows", 1, kMaxWindows)) {
    weekly.push_back(ReadWeekly(item.ReadMap("a map with days, start and end", {"days", "start", "end"})));
  }
  return weekly;
}

// Nothing after an error.
std::optional<absl::CivilDay> ReadDate(const yaml::Value& value) {
  constexpr absl::string_view kExpected = "a date such as 2026-12-24";
  const std::string text = value.Text(kExpected);
  if (text.empty()) return std::nullopt;
  absl::CivilDay day;
  // It takes more ways to write a date than one.
  if (absl::ParseCivilTime(text, &day) && absl::FormatCivilTime(day) == text) return day;
  value.FailExpected(kExpected);
  return std::nullopt;
}

std::vector<BlackoutDates> ReadBlackout(const yaml::Value& value) {
  std::vector<BlackoutDates> blackout;
  constexpr absl::string_view kExpected =
      "dates such as 2026-12-24, and spans such as {from: 2026-12-24, to: 2027-01-02}";
  for (const yaml::Value& item : value.Items(kExpected, 0, kMaxBlackouts)) {
    if (!item.is_map()) {
      if (const auto day = ReadDate(item)) blackout.push_back({*day, *day});
      continue;
    }
    const yaml::Map map = item.ReadMap("a map with from and to", {"from", "to"});
    const yaml::Value to_value = map.Require("to");
    const auto from = ReadDate(map.Require("from"));
    const auto to = ReadDate(to_value);
    if (!from || !to) continue;
    if (*to < *from) to_value.FailExpected("a date that is not before from");
    blackout.push_back({*from, *to});
  }
  return blackout;
}

}  // namespace

RolloutWindows ReadWindows(const yaml::Value& value) {
  constexpr absl::string_view kExpected = "a map with time_zone, days, start, end and blackout";
  if (value.is_list()) {
    value.FailExpected(kExpected, "several windows are a list under `open`");
    return {};
  }
  const yaml::Map map = value.ReadMap(kExpected, {"time_zone", "days", "start", "end", "open", "blackout"});
  RolloutWindows windows;
  windows.zone = ReadTimeZone(map.Require("time_zone", "an IANA name such as Europe/Berlin or UTC"));
  windows.weekly = ReadOpen(map);
  windows.blackout = ReadBlackout(map.Find("blackout"));
  return windows;
}

}  // namespace certcast::controller
