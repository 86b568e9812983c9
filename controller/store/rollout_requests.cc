#include "controller/store/rollout_requests.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/store/record_io.h"

namespace certcast::controller {
namespace {

using Request = state::v1::RolloutRequest;

constexpr int kMaxTries = 10;

absl::StatusOr<std::string> KeyOf(absl::string_view rollout_id) {
  RETURN_IF_ERROR(CheckKeyPart("rollout", rollout_id));
  return absl::StrCat("rollout-requests/", rollout_id);
}

}  // namespace

absl::StatusOr<PendingRequest> RolloutRequests::Put(absl::string_view rollout_id, const Request& request) {
  ASSIGN_OR_RETURN(const std::string key, KeyOf(rollout_id));
  absl::Status status;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    ASSIGN_OR_RETURN(auto stored, ReadRevisioned<Request>(store_, key));
    if (stored.revision != 0 && stored.message.wish() >= request.wish()) {
      return PendingRequest{std::move(stored.message), stored.revision};
    }
    Transaction transaction;
    transaction.compares.push_back({key, stored.revision});
    transaction.writes.push_back(PutOf(key, request));
    const absl::StatusOr<int64_t> revision = store_.Commit(transaction);
    if (revision.ok()) return PendingRequest{request, *revision};
    status = revision.status();
    if (!absl::IsAborted(status)) return status;
  }
  return status;
}

absl::StatusOr<std::optional<PendingRequest>> RolloutRequests::Get(absl::string_view rollout_id) {
  ASSIGN_OR_RETURN(const std::string key, KeyOf(rollout_id));
  ASSIGN_OR_RETURN(auto stored, ReadRevisioned<Request>(store_, key));
  if (stored.revision == 0) return std::optional<PendingRequest>();
  return std::optional(PendingRequest{std::move(stored.message), stored.revision});
}

absl::Status RolloutRequests::Remove(absl::string_view rollout_id, int64_t revision) {
  ASSIGN_OR_RETURN(const std::string key, KeyOf(rollout_id));
  Transaction transaction;
  transaction.compares.push_back({key, revision});
  transaction.writes.push_back(DeleteOf(key));
  const absl::Status status = store_.Commit(transaction).status();
  return absl::IsAborted(status) ? absl::OkStatus() : status;
}

}  // namespace certcast::controller
