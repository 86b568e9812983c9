#include "controller/store/renewal_ends.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "certcast/state/v1/store.pb.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/store/record_io.h"
#include "controller/store/records.h"

namespace certcast::controller {

using state::v1::RenewalInfo;

absl::StatusOr<std::map<std::string, absl::Time>> RenewalEnds(Store& store, absl::string_view certificate) {
  ASSIGN_OR_RETURN(std::optional<RenewalInfo> latest, RenewalInfoRecords(store).Get(certificate));
  ASSIGN_OR_RETURN(std::vector<RenewalInfo> all,
                   ListRecords<RenewalInfo>(store, absl::StrCat("renewal-info/", certificate, "/")));
  if (latest.has_value()) all.push_back(*std::move(latest));
  std::map<std::string, absl::Time> ends;
  for (const RenewalInfo& info : all) {
    if (info.has_window_end()) ends[info.leaf_sha256()] = FromTimestamp(info.window_end());
  }
  return ends;
}

}  // namespace certcast::controller
