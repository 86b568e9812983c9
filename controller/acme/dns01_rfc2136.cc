#include "controller/acme/dns01_rfc2136.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/secret/reference.h"
#include "common/secret/secret.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr int kTries = 3;

std::string Parent(const std::string& name) {
  const size_t dot = name.find('.');
  return dot + 1 < name.size() ? name.substr(dot + 1) : ".";
}

bool IsSoaOf(const DnsRecord& record, const std::string& zone) {
  return record.type == DnsType::kSoa && record.owner == zone;
}

absl::StatusOr<TsigKey> ReadKey(const Rfc2136Server::Tsig& config) {
  ASSIGN_OR_RETURN(Secret secret, ReadSecret(config.secret));
  return TsigKey{.name = config.name,
                 .algorithm = config.algorithm,
                 .secret = Secret(absl::StripAsciiWhitespace(secret.ExposeSecret()))};
}

}  // namespace

absl::Status Rfc2136Writer::Present(const state::v1::PresentedChallenge& challenge) {
  return WithStep(Update(challenge, /*add=*/true), "present");
}

absl::Status Rfc2136Writer::CleanUp(const state::v1::PresentedChallenge& challenge) {
  return WithStep(Update(challenge, /*add=*/false), "cleanup");
}

absl::Status Rfc2136Writer::Update(const state::v1::PresentedChallenge& challenge, bool add) {
  const std::string what = absl::StrCat("updating ", challenge.fqdn(), " on ", config_.server);
  std::optional<TsigKey> key;
  if (config_.tsig.has_value()) {
    auto read = ReadKey(*config_.tsig);
    if (!read.ok())
      return WithReason(Annotate(read.status(), "challenge.rfc2136.tsig.secret"), Reason::CHALLENGE_FAILED);
    key = *std::move(read);
  }
  TxtUpdate update{.zone = config_.zone,
                   .name = challenge.fqdn(),
                   .value = challenge.value(),
                   .add = add,
                   .ttl = static_cast<uint32_t>(config_.ttl)};
  if (update.zone.empty()) {
    auto zone = ZoneOf(challenge.fqdn());
    if (!zone.ok()) return WithReason(Annotate(zone.status(), what), Reason::CHALLENGE_FAILED);
    update.zone = *std::move(zone);
  }
  absl::Status updated;
  for (int i = 0; i < kTries; ++i) {
    updated = dns_.Update(config_.server, update, key.has_value() ? &*key : nullptr, config_.timeout);
    if (ReasonOf(updated) != Reason::TIMED_OUT) break;
  }
  return updated.ok() ? updated : WithReason(Annotate(updated, what), Reason::CHALLENGE_FAILED);
}

absl::StatusOr<std::string> Rfc2136Writer::ZoneOf(const std::string& fqdn) {
  for (std::string zone = fqdn; zone != "."; zone = Parent(zone)) {
    ASSIGN_OR_RETURN(
        const DnsReply reply,
        dns_.Ask(config_.server, {.name = zone, .type = DnsType::kSoa, .recursion = false}, config_.timeout));
    const auto is_soa = [&](const DnsRecord& record) { return IsSoaOf(record, zone); };
    if (reply.authoritative && std::any_of(reply.answers.begin(), reply.answers.end(), is_soa)) return zone;
  }
  return Fail(Reason::CHALLENGE_FAILED, absl::StrCat("it holds no zone that ", fqdn, " is in"),
              "is it the primary server of that zone? Name it in challenge.rfc2136.server, or the zone in "
              "challenge.rfc2136.zone");
}

}  // namespace certcast::controller
