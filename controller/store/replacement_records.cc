#include "controller/store/replacement_records.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/store/record_io.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

using state::v1::Order;
using state::v1::Replacement;

absl::StatusOr<std::string> KeyOf(absl::string_view certificate) {
  RETURN_IF_ERROR(CheckKeyPart("certificate", certificate));
  return absl::StrCat("replacements/", certificate);
}

}  // namespace

absl::StatusOr<std::optional<Replacement>> ReplacementRecords::Get(absl::string_view certificate) {
  ASSIGN_OR_RETURN(const std::string key, KeyOf(certificate));
  return ReadRecord<Replacement>(store_, key);
}

absl::Status ReplacementRecords::Put(const Replacement& replacement, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, KeyOf(replacement.certificate()));
  return WriteRecord(store_, std::move(key), replacement, epoch);
}

absl::Status ReplacementRecords::PutAndForgetOrder(const Replacement& replacement, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, KeyOf(replacement.certificate()));
  Transaction transaction;
  transaction.epoch = epoch;
  transaction.writes.push_back(PutOf(std::move(key), replacement));
  RETURN_IF_ERROR(OrderRecords(store_).AddForget(replacement.certificate(), transaction));
  return store_.Commit(transaction).status();
}

}  // namespace certcast::controller
