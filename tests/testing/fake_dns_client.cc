#include "tests/testing/fake_dns_client.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::testing {

using controller::DnsQuestion;
using controller::DnsRecord;
using controller::DnsReply;
using controller::DnsType;

void FakeDnsClient::set_resolvers(std::vector<std::string> resolvers) {
  const absl::MutexLock lock(&mutex_);
  resolvers_ = std::move(resolvers);
}

void FakeDnsClient::Add(const std::string& server, DnsRecord record) {
  const absl::MutexLock lock(&mutex_);
  servers_[server].records.push_back(std::move(record));
}

void FakeDnsClient::Remove(const std::string& server, const DnsRecord& record) {
  const absl::MutexLock lock(&mutex_);
  auto& records = servers_[server].records;
  records.erase(std::remove(records.begin(), records.end(), record), records.end());
}

void FakeDnsClient::Delegate(const std::string& server, const std::string& zone, const std::string& name_server) {
  const absl::MutexLock lock(&mutex_);
  servers_[server].delegations.emplace_back(zone, name_server);
}

void FakeDnsClient::MakeRecursive(const std::string& server) {
  const absl::MutexLock lock(&mutex_);
  servers_[server].recursive = true;
}

void FakeDnsClient::Forget(const std::string& server) {
  const absl::MutexLock lock(&mutex_);
  servers_.erase(server);
}

void FakeDnsClient::SetRcode(const std::string& server, int rcode) {
  const absl::MutexLock lock(&mutex_);
  servers_[server].rcode = rcode;
}

void FakeDnsClient::AddLater(const std::string& server, DnsRecord record, int after) {
  const absl::MutexLock lock(&mutex_);
  servers_[server].later.push_back({after, std::move(record)});
}

absl::StatusOr<DnsReply> FakeDnsClient::Ask(const std::string& server, const DnsQuestion& question, absl::Duration) {
  const absl::MutexLock lock(&mutex_);
  asked_.push_back({server, question});
  const auto found = servers_.find(server);
  if (found == servers_.end()) return Fail(Reason::TIMED_OUT, absl::StrCat("no answer from the DNS server ", server));
  Server& zone = found->second;
  if (zone.rcode.has_value()) return DnsReply{.rcode = *zone.rcode};
  std::vector<DnsRecord> records = zone.records;
  for (const Later& later : zone.later) {
    if (zone.questions >= later.after) records.push_back(later.record);
  }
  ++zone.questions;
  DnsReply reply{.authoritative = !question.recursion && !zone.recursive, .recursion_available = zone.recursive};
  if (zone.recursive && !question.recursion) return reply;
  bool name_exists = false;
  for (const DnsRecord& record : records) {
    if (record.owner != question.name) continue;
    name_exists = true;
    if (record.type == question.type || record.type == DnsType::kCname) reply.answers.push_back(record);
  }
  for (const auto& [below, name_server] : zone.delegations) {
    if (!absl::EndsWith(question.name, absl::StrCat(".", below)) && question.name != below) continue;
    reply.authoritative = false;
    reply.authority.push_back({.owner = below, .type = DnsType::kNs, .data = name_server});
    name_exists = true;
  }
  if (!name_exists) reply.rcode = 3;
  return reply;
}

absl::Status FakeDnsClient::Update(const std::string& server, const controller::TxtUpdate& update,
                                   const controller::TsigKey* key, absl::Duration) {
  const absl::MutexLock lock(&mutex_);
  update_keys_.push_back(
      key == nullptr ? "" : absl::StrCat(key->name, " ", key->algorithm, " ", key->secret.ExposeSecret()));
  if (!update_errors_.empty()) {
    const absl::Status error = update_errors_.front();
    update_errors_.erase(update_errors_.begin());
    return error;
  }
  const DnsRecord record{.owner = update.name, .type = DnsType::kTxt, .data = update.value};
  auto& records = servers_[server].records;
  const auto found = std::find(records.begin(), records.end(), record);
  if (found == records.end() && update.add) records.push_back(record);
  if (found != records.end() && !update.add) records.erase(found);
  return absl::OkStatus();
}

void FakeDnsClient::FailUpdates(std::vector<absl::Status> errors) {
  const absl::MutexLock lock(&mutex_);
  update_errors_ = std::move(errors);
}

std::vector<std::string> FakeDnsClient::update_keys() const {
  const absl::MutexLock lock(&mutex_);
  return update_keys_;
}

absl::StatusOr<std::vector<std::string>> FakeDnsClient::SystemResolvers() {
  const absl::MutexLock lock(&mutex_);
  return resolvers_;
}

std::vector<FakeDnsClient::Asked> FakeDnsClient::asked() const {
  const absl::MutexLock lock(&mutex_);
  return asked_;
}

}  // namespace certcast::testing
