#include "controller/acme/order_journal.h"

#include <optional>
#include <utility>

#include "common/status/status.h"

namespace certcast::controller {

absl::StatusOr<OrderJournal> OrderJournal::Load(Store& store, const std::string& certificate, uint64_t epoch) {
  ASSIGN_OR_RETURN(std::optional<state::v1::Order> record, OrderRecords(store).Get(certificate));
  if (!record) record.emplace().set_certificate(certificate);
  return OrderJournal(store, epoch, *std::move(record));
}

absl::Status OrderJournal::Save(state::v1::Order record) {
  RETURN_IF_ERROR(OrderRecords(*store_).Put(record, epoch_));
  record_ = std::move(record);
  return absl::OkStatus();
}

absl::Status OrderJournal::Begin(const state::v1::Order& order) {
  state::v1::Order record = order;
  record.set_certificate(record_.certificate());
  record.set_step(state::v1::Order::CREATED);
  *record.mutable_presented() = record_.presented();
  return Save(std::move(record));
}

absl::Status OrderJournal::BeginFinalize(const state::v1::Sealed& private_key, KeyType key_type,
                                         const std::string& csr) {
  state::v1::Order record = record_;
  record.set_step(state::v1::Order::FINALIZING);
  *record.mutable_private_key() = private_key;
  record.set_key_type(std::string(KeyTypeName(key_type)));
  record.set_csr(csr);
  return Save(std::move(record));
}

absl::Status OrderJournal::KeepPresented(const std::vector<state::v1::PresentedChallenge>& challenges) {
  state::v1::Order record = record_;
  record.mutable_presented()->Assign(challenges.begin(), challenges.end());
  if (has_order() || !challenges.empty()) return Save(std::move(record));
  RETURN_IF_ERROR(OrderRecords(*store_).Delete(record.certificate(), epoch_));
  record_ = std::move(record);
  return absl::OkStatus();
}

absl::Status OrderJournal::Drop() {
  state::v1::Order rest;
  rest.set_certificate(record_.certificate());
  *rest.mutable_presented() = record_.presented();
  if (rest.presented_size() > 0) return Save(std::move(rest));
  RETURN_IF_ERROR(OrderRecords(*store_).Delete(rest.certificate(), epoch_));
  record_ = std::move(rest);
  return absl::OkStatus();
}

absl::Status OrderJournal::Finish(const state::v1::Generation& generation) {
  const bool leftovers = record_.presented_size() > 0;
  using PendingOrder = GenerationRecords::PendingOrder;
  RETURN_IF_ERROR(
      GenerationRecords(*store_).Append(generation, leftovers ? PendingOrder::kKeep : PendingOrder::kRemove, epoch_));
  if (leftovers) return Drop();
  const std::string certificate = record_.certificate();
  record_.Clear();
  record_.set_certificate(certificate);
  return absl::OkStatus();
}

}  // namespace certcast::controller
