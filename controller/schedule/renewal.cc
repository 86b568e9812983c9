#include "controller/schedule/renewal.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/status/count.h"
#include "common/x509/private_key.h"
#include "controller/schedule/window.h"

namespace certcast::controller {
namespace {

using state::v1::Generation;

constexpr absl::Duration kShortLifetime = absl::Hours(24 * 10);

// The share of the lifetime after which it is due.
struct Share {
  double share;
  std::string text;
};

Share ShareFor(const RenewalConfig& renewal, absl::Duration lifetime) {
  if (renewal.at) return {*renewal.at, absl::StrFormat("%g%% of its lifetime", *renewal.at * 100)};
  if (lifetime < kShortLifetime) return {0.5, "1/2 of its lifetime"};
  return {2.0 / 3.0, "2/3 of its lifetime"};
}

// As in the configuration: whole days where it is that.
std::string ShowDistance(absl::Duration distance) {
  if (distance % absl::Hours(24) != absl::ZeroDuration()) return absl::FormatDuration(distance);
  return Count(static_cast<size_t>(distance / absl::Hours(24)), "day");
}

// By its dates alone.
struct DueDate {
  absl::Time at;
  std::string text;
};

DueDate DueDateOf(const RenewalConfig& renewal, const Generation& latest) {
  const absl::Time begin = FromTimestamp(latest.not_before());
  const absl::Time end = FromTimestamp(latest.not_after());
  if (renewal.before_expiry) {
    return {end - *renewal.before_expiry, absl::StrCat(ShowDistance(*renewal.before_expiry), " before expiry")};
  }
  const Share share = ShareFor(renewal, end - begin);
  // To the second, so that what is shown is what is compared.
  return {begin + absl::Trunc((end - begin) * share.share, absl::Seconds(1)), share.text};
}

// The latest time until which a CA's suggestion is followed.
constexpr double kLatestShare = 0.9;

bool HasSuggestion(const CertificateConfig& certificate, const Generation& latest, const state::v1::RenewalInfo* info) {
  return certificate.renewal.ari && info != nullptr && info->leaf_sha256() == latest.leaf_sha256() &&
         info->has_selected_at();
}

// Before a window of the rollout opens, so that a run that waits for it has what it brings.
constexpr absl::Duration kAhead = absl::Hours(24);

// Where none of the rollout's windows opens from `selected` until `end`: the last one that opens before, but not in the
// first half of the lifetime.
std::optional<absl::Time> LastOpeningBefore(const std::optional<RolloutWindows>& windows, const Generation& latest,
                                            absl::Time selected, absl::Time end) {
  if (!windows.has_value() || NextOpening(*windows, selected) < end) return std::nullopt;
  const absl::Time begin = FromTimestamp(latest.not_before());
  std::optional<absl::Time> last;
  absl::Time opens = NextOpening(*windows, begin + (FromTimestamp(latest.not_after()) - begin) / 2 + kAhead);
  while (opens < end) {
    last = opens;
    opens = NextOpening(*windows, NextClosing(*windows, opens));
  }
  return last;
}

DueDate SuggestedDate(const CertificateConfig& certificate, const Generation& latest,
                      const state::v1::RenewalInfo& info) {
  const RenewalConfig& renewal = certificate.renewal;
  const absl::Time begin = FromTimestamp(latest.not_before());
  const absl::Time end = FromTimestamp(latest.not_after());
  const std::string& page = info.explanation_url();
  const std::string window =
      absl::StrCat("the CA suggests ", ShowUtc(FromTimestamp(info.window_start())), " to ",
                   ShowUtc(FromTimestamp(info.window_end())), page.empty() ? "" : absl::StrCat(", see ", page));
  const DueDate own = DueDateOf(renewal, latest);
  const absl::Time latest_time = std::max(own.at, begin + absl::Trunc((end - begin) * kLatestShare, absl::Seconds(1)));
  const absl::Time selected = FromTimestamp(info.selected_at());
  if (selected > latest_time) return {latest_time, absl::StrCat("9/10 of its lifetime, though ", window)};
  const std::optional<RolloutWindows>& windows = certificate.rollout.windows;
  const auto opens = LastOpeningBefore(windows, latest, selected, FromTimestamp(info.window_end()));
  if (!opens.has_value()) return {selected, window};
  return {*opens - kAhead, absl::StrCat("ahead of its window, ", ShowInZone(windows->zone, *opens), "; ", window)};
}

std::vector<std::string> Names(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<std::string> sorted;
  for (const std::string& name : names) sorted.push_back(absl::AsciiStrToLower(name));
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// What the configuration says now that it did not when this was ordered. An imported generation says nothing of how it
// was ordered, so there its own names and nothing else count.
std::optional<std::string> WhatChanged(const CertificateConfig& certificate, const Generation& latest) {
  const bool ordered = latest.ordered_names_size() > 0;
  std::vector<std::string> wanted = certificate.domains;
  for (std::string& name : wanted) absl::AsciiStrToLower(&name);
  std::sort(wanted.begin(), wanted.end());
  if (wanted != Names(ordered ? latest.ordered_names() : latest.dns_names())) {
    return absl::StrCat("the configured names are now ", absl::StrJoin(certificate.domains, ", "));
  }
  const absl::string_view key_type = KeyTypeName(certificate.key_type);
  if (!latest.key_type().empty() && latest.key_type() != key_type) {
    return absl::StrCat("the configured key type is now ", key_type);
  }
  // What was ordered before profiles were kept has none.
  if (!latest.order_url().empty() && latest.profile() != certificate.profile) {
    return certificate.profile.empty() ? "no profile is configured any more"
                                       : absl::StrCat("the configured profile is now ", certificate.profile);
  }
  return std::nullopt;
}

RenewalDecision DecideImported(const Generation* latest, absl::Time now, bool force) {
  RenewalDecision decision{.due = false, .renew_at = absl::InfiniteFuture()};
  if (latest != nullptr && latest->has_revoked_at()) {
    decision.reason = absl::StrCat("imported by hand; it was revoked on ", ShowUtc(FromTimestamp(latest->revoked_at())),
                                   ": use `certcast import` with a new one");
    return decision;
  }
  decision.reason = latest == nullptr ? "not imported yet: use `certcast import`"
                    : force           ? "imported by hand: it can't be ordered; use `certcast import` with a new one"
                                      : absl::StrCat("imported by hand; it ",
                                           now >= FromTimestamp(latest->not_after()) ? "expired on " : "expires on ",
                                                     ShowUtc(FromTimestamp(latest->not_after())));
  return decision;
}

}  // namespace

RenewalDecision DecideRenewal(const CertificateConfig& certificate, const Generation* latest, absl::Time now,
                              bool force, const state::v1::RenewalInfo* info) {
  if (certificate.imported()) return DecideImported(latest, now, force);
  if (latest == nullptr) return {.due = true, .renew_at = absl::InfinitePast(), .reason = "never issued"};
  const DueDate due = HasSuggestion(certificate, *latest, info) ? SuggestedDate(certificate, *latest, *info)
                                                                : DueDateOf(certificate.renewal, *latest);
  RenewalDecision decision{.due = true, .renew_at = std::min(due.at, now)};
  const std::optional<std::string> changed = WhatChanged(certificate, *latest);
  if (force) {
    decision.reason = "forced";
  } else if (latest->has_revoked_at()) {
    const absl::Time revoked = FromTimestamp(latest->revoked_at());
    decision.renew_at = std::min(due.at, revoked);
    decision.reason = absl::StrCat("revoked on ", ShowUtc(revoked));
  } else if (latest->has_revocation_requested_at()) {
    const absl::Time requested = FromTimestamp(latest->revocation_requested_at());
    decision.renew_at = std::min(due.at, requested);
    decision.reason =
        absl::StrCat("perhaps revoked: the CA was asked to on ", ShowUtc(requested), " and did not answer");
  } else if (changed) {
    decision.reason = *changed;
  } else if (now >= FromTimestamp(latest->not_after())) {
    decision.reason = absl::StrCat("expired on ", ShowUtc(FromTimestamp(latest->not_after())));
  } else {
    decision.due = now >= due.at;
    decision.renew_at = due.at;
    decision.reason = absl::StrCat(decision.due ? "due since " : "due on ", ShowUtc(due.at), " (", due.text, ")");
    const bool asked = certificate.renewal.ari && info != nullptr && info->leaf_sha256() == latest->leaf_sha256();
    if (asked && !info->last_error().empty()) {
      absl::StrAppend(&decision.reason, "; what the CA suggests is not known: ", info->last_error());
    }
  }
  return decision;
}

}  // namespace certcast::controller
