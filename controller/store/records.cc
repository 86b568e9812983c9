#include "controller/store/records.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "controller/store/record_io.h"

namespace certcast::controller {
namespace {

using state::v1::Account;
using state::v1::Generation;
using state::v1::Node;
using state::v1::Order;
using state::v1::RenewalInfo;
using state::v1::Schedule;

// Tries of a change that others keep getting in the way of.
constexpr int kMaxTries = 20;

absl::StatusOr<std::string> CertificatePrefix(absl::string_view certificate) {
  RETURN_IF_ERROR(CheckKeyPart("certificate", certificate));
  return absl::StrCat("certificates/", certificate, "/");
}

absl::StatusOr<std::string> GenerationKey(absl::string_view certificate, uint64_t number) {
  ASSIGN_OR_RETURN(const std::string prefix, CertificatePrefix(certificate));
  return absl::StrCat(prefix, "generations/", number);
}

absl::StatusOr<std::string> OrderKey(absl::string_view certificate) {
  ASSIGN_OR_RETURN(const std::string prefix, CertificatePrefix(certificate));
  return absl::StrCat(prefix, "order");
}

absl::StatusOr<std::string> NodeKey(absl::string_view name) {
  RETURN_IF_ERROR(CheckKeyPart("node", name));
  return absl::StrCat("nodes/", name);
}

absl::StatusOr<std::string> AccountKey(absl::string_view key) {
  RETURN_IF_ERROR(CheckKeyPart("account", key));
  return absl::StrCat("accounts/", key);
}

absl::StatusOr<std::string> RenewalInfoKey(absl::string_view certificate) {
  RETURN_IF_ERROR(CheckKeyPart("certificate", certificate));
  return absl::StrCat("renewal-info/", certificate);
}

absl::StatusOr<std::string> ScheduleKey(absl::string_view certificate) {
  RETURN_IF_ERROR(CheckKeyPart("certificate", certificate));
  return absl::StrCat("schedule/", certificate);
}

}  // namespace

absl::StatusOr<uint64_t> GenerationRecords::NextNumber(absl::string_view certificate) {
  ASSIGN_OR_RETURN(const std::optional<Generation> latest, Wanted(certificate));
  return latest.has_value() ? latest->generation() + 1 : 1;
}

absl::Status GenerationRecords::Append(const Generation& generation, PendingOrder order, uint64_t epoch) {
  ASSIGN_OR_RETURN(const uint64_t next, NextNumber(generation.certificate()));
  if (generation.generation() != next) {
    return absl::AbortedError(absl::StrCat("generation ", generation.generation(), " of ", generation.certificate(),
                                           " can't be added: the next one is ", next));
  }
  ASSIGN_OR_RETURN(const std::string key, GenerationKey(generation.certificate(), next));
  Transaction transaction;
  transaction.epoch = epoch;
  transaction.compares.push_back({key, 0});
  transaction.writes.push_back(PutOf(key, generation));
  if (order == PendingOrder::kRemove) {
    ASSIGN_OR_RETURN(std::string order_key, OrderKey(generation.certificate()));
    transaction.writes.push_back(DeleteOf(std::move(order_key)));
  }
  return store_.Commit(transaction).status();
}

absl::Status GenerationRecords::ChangeUnrevoked(absl::string_view certificate, uint64_t number, uint64_t epoch,
                                                const std::function<void(Generation&)>& change) {
  ASSIGN_OR_RETURN(const std::string key, GenerationKey(certificate, number));
  ASSIGN_OR_RETURN(auto record, ReadRevisioned<Generation>(store_, key));
  if (record.revision == 0) {
    return absl::NotFoundError(absl::StrCat("there is no generation ", number, " of ", certificate));
  }
  if (record.message.has_revoked_at()) return absl::OkStatus();
  change(record.message);
  Transaction transaction;
  transaction.epoch = epoch;
  transaction.compares.push_back({key, record.revision});
  transaction.writes.push_back(PutOf(key, record.message));
  return store_.Commit(transaction).status();
}

absl::Status GenerationRecords::BeginRevocation(absl::string_view certificate, uint64_t number, int reason,
                                                absl::Time at, uint64_t epoch) {
  return ChangeUnrevoked(certificate, number, epoch, [&](Generation& generation) {
    *generation.mutable_revocation_requested_at() = ToTimestamp(at);
    generation.set_revocation_reason(reason);
  });
}

absl::Status GenerationRecords::CancelRevocation(absl::string_view certificate, uint64_t number, uint64_t epoch) {
  return ChangeUnrevoked(certificate, number, epoch, [](Generation& generation) {
    generation.clear_revocation_requested_at();
    generation.clear_revocation_reason();
  });
}

absl::Status GenerationRecords::MarkRevoked(absl::string_view certificate, uint64_t number, absl::Time at,
                                            uint64_t epoch) {
  return ChangeUnrevoked(certificate, number, epoch,
                         [&](Generation& generation) { *generation.mutable_revoked_at() = ToTimestamp(at); });
}

bool MayBeRevoked(const Generation& generation) {
  return generation.has_revoked_at() || generation.has_revocation_requested_at();
}

absl::StatusOr<std::optional<Generation>> GenerationRecords::Get(absl::string_view certificate, uint64_t number) {
  ASSIGN_OR_RETURN(const std::string key, GenerationKey(certificate, number));
  return ReadRecord<Generation>(store_, key);
}

absl::StatusOr<std::optional<Generation>> GenerationRecords::Wanted(absl::string_view certificate) {
  ASSIGN_OR_RETURN(std::vector<Generation> all, List(certificate));
  if (all.empty()) return std::optional<Generation>();
  return std::optional<Generation>(std::move(all.back()));
}

absl::StatusOr<std::vector<Generation>> GenerationRecords::List(absl::string_view certificate) {
  ASSIGN_OR_RETURN(const std::string prefix, CertificatePrefix(certificate));
  ASSIGN_OR_RETURN(std::vector<Generation> all, ListRecords<Generation>(store_, absl::StrCat(prefix, "generations/")));
  // By number: the keys sort 10 before 9.
  std::sort(all.begin(), all.end(),
            [](const Generation& a, const Generation& b) { return a.generation() < b.generation(); });
  return all;
}

absl::StatusOr<std::optional<Order>> OrderRecords::Get(absl::string_view certificate) {
  ASSIGN_OR_RETURN(const std::string key, OrderKey(certificate));
  return ReadRecord<Order>(store_, key);
}

absl::Status OrderRecords::Put(const Order& order, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, OrderKey(order.certificate()));
  return WriteRecord(store_, std::move(key), order, epoch);
}

absl::Status OrderRecords::Delete(absl::string_view certificate, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, OrderKey(certificate));
  return DeleteRecord(store_, std::move(key), epoch);
}

absl::Status OrderRecords::AddForget(absl::string_view certificate, Transaction& transaction) {
  ASSIGN_OR_RETURN(std::string key, OrderKey(certificate));
  ASSIGN_OR_RETURN(const auto record, ReadRevisioned<Order>(store_, key));
  if (record.revision == 0) return absl::OkStatus();
  transaction.compares.push_back({key, record.revision});
  if (record.message.presented().empty()) {
    transaction.writes.push_back(DeleteOf(std::move(key)));
    return absl::OkStatus();
  }
  Order rest;
  rest.set_certificate(std::string(certificate));
  *rest.mutable_presented() = record.message.presented();
  transaction.writes.push_back(PutOf(std::move(key), rest));
  return absl::OkStatus();
}

std::string AccountRecords::Key(absl::string_view directory_url, absl::string_view external_account_key_id) {
  return Sha256Hex(absl::StrCat(directory_url, "\n", external_account_key_id));
}

absl::StatusOr<std::optional<Account>> AccountRecords::Get(absl::string_view account_key) {
  ASSIGN_OR_RETURN(const std::string key, AccountKey(account_key));
  return ReadRecord<Account>(store_, key);
}

absl::StatusOr<std::vector<Account>> AccountRecords::List() {
  return ListRecords<Account>(store_, "accounts/");
}

absl::Status AccountRecords::Put(const Account& account, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, AccountKey(Key(account.directory_url(), account.external_account_key_id())));
  return WriteRecord(store_, std::move(key), account, epoch);
}

absl::StatusOr<std::optional<Node>> NodeRecords::Get(absl::string_view name) {
  ASSIGN_OR_RETURN(const std::string key, NodeKey(name));
  return ReadRecord<Node>(store_, key);
}

absl::StatusOr<std::vector<Node>> NodeRecords::List() {
  return ListRecords<Node>(store_, "nodes/");
}

absl::Status NodeRecords::Update(const std::vector<std::string>& names, uint64_t epoch,
                                 const std::function<void(Node&)>& change) {
  absl::Status status;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    Transaction transaction;
    transaction.epoch = epoch;
    for (const std::string& name : names) {
      ASSIGN_OR_RETURN(const std::string key, NodeKey(name));
      ASSIGN_OR_RETURN(auto record, ReadRevisioned<Node>(store_, key));
      record.message.set_name(name);
      change(record.message);
      transaction.compares.push_back({key, record.revision});
      transaction.writes.push_back(PutOf(key, record.message));
    }
    status = store_.Commit(transaction).status();
    if (!absl::IsAborted(status)) return status;
  }
  return status;
}

absl::Status NodeRecords::Delete(absl::string_view name, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, NodeKey(name));
  return DeleteRecord(store_, std::move(key), epoch);
}

absl::StatusOr<std::optional<RenewalInfo>> RenewalInfoRecords::Get(absl::string_view certificate) {
  ASSIGN_OR_RETURN(const std::string key, RenewalInfoKey(certificate));
  return ReadRecord<RenewalInfo>(store_, key);
}

absl::Status RenewalInfoRecords::Put(const RenewalInfo& info, uint64_t epoch) {
  ASSIGN_OR_RETURN(const std::string key, RenewalInfoKey(info.certificate()));
  ASSIGN_OR_RETURN(const std::optional<RenewalInfo> before, ReadRecord<RenewalInfo>(store_, key));
  Transaction transaction;
  transaction.epoch = epoch;
  transaction.writes.push_back(PutOf(key, info));
  // Nodes may serve that one for a while: see renewal_ends.h.
  if (before.has_value() && before->has_window_end() && before->leaf_sha256() != info.leaf_sha256()) {
    transaction.writes.push_back(PutOf(absl::StrCat(key, "/", before->leaf_sha256()), *before));
  }
  return store_.Commit(transaction).status();
}

absl::StatusOr<std::optional<Schedule>> ScheduleRecords::Get(absl::string_view certificate) {
  ASSIGN_OR_RETURN(const std::string key, ScheduleKey(certificate));
  return ReadRecord<Schedule>(store_, key);
}

absl::Status ScheduleRecords::Put(absl::string_view certificate, const Schedule& schedule, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, ScheduleKey(certificate));
  return WriteRecord(store_, std::move(key), schedule, epoch);
}

absl::Status ScheduleRecords::Delete(absl::string_view certificate, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::string key, ScheduleKey(certificate));
  return DeleteRecord(store_, std::move(key), epoch);
}

}  // namespace certcast::controller
