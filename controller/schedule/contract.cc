#include "controller/schedule/contract.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

using Urgency = ContractNotice::Urgency;

Urgency UrgencyOf(absl::Duration left) {
  if (left <= 7 * kDay) return Urgency::kNow;
  if (left <= 30 * kDay) return Urgency::kSoon;
  return left <= 60 * kDay ? Urgency::kEarly : Urgency::kNone;
}

// How it is called, and what to do about it.
struct Kind {
  absl::string_view what;
  absl::string_view hint;
};

Kind KindOf(absl::string_view what) {
  if (what == "vetting") {
    return {"the vetting of the organisation",
            "ask the CA for the yearly check of the organisation now: people do it, and it may take weeks"};
  }
  if (what == "external_account") {
    return {"the external account", "get another key_id and hmac_key from the CA, and change external_account"};
  }
  return {"the contract", "renew it with the CA; where that gives another external_account, change that too"};
}

}  // namespace

std::vector<ContractNotice> ContractNotices(const std::vector<AccountConfig>& accounts, absl::Time now) {
  std::vector<ContractNotice> notices;
  for (const AccountConfig& account : accounts) {
    for (const ContractEnd& end : account.ends) {
      const absl::Duration left = end.at - now;
      const Kind kind = KindOf(end.what);
      const std::string day = absl::FormatTime("%Y-%m-%d", end.at - absl::Nanoseconds(1), absl::UTCTimeZone());
      // Until the last day begins.
      const int64_t days = (left - absl::Nanoseconds(1)) / kDay;
      ContractNotice& notice = notices.emplace_back();
      notice.account = account.name;
      notice.urgency = UrgencyOf(left);
      notice.hint = absl::StrCat(kind.hint, ", and write the new date in accounts[].ends.", end.what);
      notice.text = absl::StrCat(kind.what, " of the account ", account.name,
                                 left <= absl::ZeroDuration() ? " ended on " : " ends on ", day);
      if (left > absl::ZeroDuration()) {
        absl::StrAppend(&notice.text,
                        days == 0 ? ", today" : absl::StrCat(", in ", days, days == 1 ? " day" : " days"));
      }
    }
  }
  return notices;
}

}  // namespace certcast::controller
