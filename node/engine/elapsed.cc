#include "node/engine/elapsed.h"

#include <algorithm>
#include <string>

#include "common/clock/timestamp.h"
#include "google/protobuf/util/time_util.h"

namespace certcast::node {
namespace {

using google::protobuf::util::TimeUtil;

google::protobuf::Duration ToProto(absl::Duration duration) {
  return TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(duration));
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

// Where the machine does not say which boot this is, one that is up for less time than it was then is another.
bool IsSameBoot(const Journal& journal, const Clock& clock, absl::Duration then) {
  return journal.boot_id() == clock.BootId() && clock.SinceBoot() >= then;
}

}  // namespace

void NoteBeginning(Journal& journal, const Clock& clock) {
  *journal.mutable_started_at() = ToTimestamp(clock.Now());
  journal.set_boot_id(clock.BootId());
  *journal.mutable_began_since_boot() = ToProto(clock.SinceBoot());
}

void NoteWait(Journal& journal, const Clock& clock) {
  *journal.mutable_confirm_by() = ToTimestamp(clock.Now() + FromProto(journal.confirm_timeout()));
  *journal.mutable_waits_since_boot() = ToProto(clock.SinceBoot());
}

std::optional<absl::Time> NowSinceBeginning(const Journal& journal, const Clock& clock) {
  if (!journal.has_began_since_boot()) return std::nullopt;
  const absl::Duration then = FromProto(journal.began_since_boot());
  if (!IsSameBoot(journal, clock, then)) return std::nullopt;
  return FromTimestamp(journal.started_at()) + (clock.SinceBoot() - then);
}

absl::Duration TimeLeftToConfirm(const Journal& journal, const Clock& clock) {
  const absl::Duration timeout = std::max(FromProto(journal.confirm_timeout()), absl::ZeroDuration());
  if (!journal.has_waits_since_boot()) return timeout;
  const absl::Duration then = FromProto(journal.waits_since_boot());
  const absl::Duration now = clock.SinceBoot();
  const absl::Duration elapsed = IsSameBoot(journal, clock, then) ? now - then : now;
  return std::clamp(timeout - elapsed, absl::ZeroDuration(), timeout);
}

}  // namespace certcast::node
