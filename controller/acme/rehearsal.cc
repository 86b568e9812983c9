#include "controller/acme/rehearsal.h"

#include <openssl/rand.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"
#include "controller/acme/presentation.h"

namespace certcast::controller {
namespace {

using Challenge = state::v1::PresentedChallenge;

constexpr size_t kRandomBytes = 32;

absl::StatusOr<std::string> RandomToken() {
  std::string bytes(kRandomBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) != 1) {
    return absl::InternalError("no random numbers");
  }
  return Base64UrlEncode(bytes);
}

absl::StatusOr<std::vector<Challenge>> MakeChallenges(const CertificateConfig& certificate, ChallengeSolver& solver) {
  std::vector<Challenge> challenges;
  for (absl::string_view domain : certificate.domains) {
    Challenge challenge;
    challenge.set_wildcard(absl::ConsumePrefix(&domain, "*."));
    challenge.set_domain(std::string(domain));
    ASSIGN_OR_RETURN(*challenge.mutable_token(), RandomToken());
    // As long as a thumbprint.
    ASSIGN_OR_RETURN(const std::string thumbprint, RandomToken());
    challenge.set_key_authorization(absl::StrCat(challenge.token(), ".", thumbprint));
    challenge.set_type(RecordedType(solver));
    RETURN_IF_ERROR(solver.Prepare(challenge));
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

std::vector<std::string> PlacesOf(const std::vector<Challenge>& challenges, const ChallengeSolver& solver) {
  std::vector<std::string> places;
  std::map<std::string, int> values;
  for (const Challenge& challenge : challenges) {
    const std::string place = absl::StrCat(solver.noun(), " ", solver.Place(challenge));
    if (++values[place] == 1) places.push_back(place);
  }
  for (std::string& place : places) {
    // What stands may have one for all.
    const int count = values[place];
    if (solver.makes() && count > 1) absl::StrAppend(&place, ", ", count, " values,");
  }
  return places;
}

}  // namespace

absl::StatusOr<Rehearsal> Rehearse(const CertificateConfig& certificate, ChallengeSolver& solver, OrderJournal& journal,
                                   const OnIssueProgress& on_progress) {
  Rehearsal rehearsal;
  rehearsal.looked = solver.looks();
  const auto challenges = MakeChallenges(certificate, solver);
  if (!challenges.ok()) {
    rehearsal.presented = challenges.status();
    return rehearsal;
  }
  const auto& before = journal.record().presented();
  const std::vector<Challenge> keep(before.begin(), before.end());
  Presentation presentation(journal, solver, on_progress);
  rehearsal.presented = presentation.Present(*challenges);
  rehearsal.places = PlacesOf(*challenges, solver);
  rehearsal.made = solver.makes() && journal.record().presented_size() > static_cast<int>(keep.size());
  rehearsal.removed = presentation.Remove(keep);
  // Another controller took over: it keeps the record now.
  for (const absl::Status* status : {&rehearsal.presented, &rehearsal.removed}) {
    if (ReasonOf(*status) == Reason::STALE_EPOCH) return *status;
  }
  return rehearsal;
}

}  // namespace certcast::controller
