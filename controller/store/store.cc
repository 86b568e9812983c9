#include "controller/store/store.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::controller {

absl::Status CheckKey(absl::string_view key) {
  if (key.empty() || key.size() > kMaxKeySize) {
    return FailInput(absl::StrCat("a key of ", key.size(), " bytes: 1 to ", kMaxKeySize, " are allowed"));
  }
  if (!std::all_of(key.begin(), key.end(), [](char c) { return absl::ascii_isgraph(c); })) {
    return FailInput(absl::StrCat("`", absl::CHexEscape(key), "` is no key: printable ASCII without space is"));
  }
  return absl::OkStatus();
}

absl::Status CheckTransaction(const Transaction& transaction) {
  if (transaction.writes.size() > kMaxTransactionWrites || transaction.compares.size() > kMaxTransactionWrites) {
    return FailInput(absl::StrCat("a transaction of ", transaction.compares.size(), " compares and ",
                                  transaction.writes.size(), " writes: at most ", kMaxTransactionWrites,
                                  " of each are allowed"));
  }
  for (const Transaction::Compare& compare : transaction.compares) RETURN_IF_ERROR(CheckKey(compare.key));
  for (const Transaction::Write& write : transaction.writes) {
    RETURN_IF_ERROR(CheckKey(write.key));
    if (write.value.has_value() && write.value->size() > kMaxValueSize) {
      return FailInput(absl::StrCat("the record ", write.key, " has ", write.value->size(), " bytes: at most ",
                                    kMaxValueSize, " are allowed"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEpoch(uint64_t epoch, uint64_t latest) {
  if (epoch == latest) return absl::OkStatus();
  return Fail(Reason::STALE_EPOCH,
              absl::StrCat("another certcast has taken over: this one has epoch ", epoch, ", the latest is ", latest),
              "nothing was changed; look at what the other one does, then run the command again");
}

absl::Status CheckRevision(const Transaction::Compare& compare, int64_t revision) {
  if (compare.revision == revision) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("the record ", compare.key, " is at revision ", revision, ", not ",
                                         compare.revision, ": it was changed by another"));
}

}  // namespace certcast::controller
