#include "controller/acme/authorizations.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"

namespace certcast::controller {
namespace {

using state::v1::PresentedChallenge;

// As Patience goes on, within some 20 s.
constexpr int kMostLooks = 8;

bool IsPending(const AcmeAuthorization& authorization) {
  return authorization.pending();
}

std::vector<std::string> ComplaintsOf(const std::vector<AcmeAuthorization>& authorizations) {
  std::vector<std::string> complaints;
  for (const AcmeAuthorization& authorization : authorizations) {
    if (!authorization.valid() && !authorization.pending()) complaints.push_back(authorization.Complaint());
  }
  return complaints;
}

absl::Status NotOffered(const AcmeAuthorization& authorization, absl::string_view type) {
  std::vector<std::string> offered;
  for (const AcmeChallenge& challenge : authorization.challenges) offered.push_back(challenge.type);
  return Fail(Reason::CHALLENGE_FAILED, absl::StrCat(authorization.Name(), ": the CA offers no ", type,
                                                     " challenge, only ", absl::StrJoin(offered, ", ")));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Authorizations::Complete(const std::vector<std::string>& urls) {
  ASSIGN_OR_RETURN(std::vector<AcmeAuthorization> authorizations, FetchAll(urls));
  RETURN_IF_ERROR(RemoveStale(authorizations));
  ASSIGN_OR_RETURN(const std::vector<Task> tasks, Tasks(authorizations));
  std::vector<PresentedChallenge> records;
  records.reserve(tasks.size());
  for (const Task& task : tasks) records.push_back(task.record);
  RETURN_IF_ERROR(presentation_.Present(records));
  RETURN_IF_ERROR(Tell(tasks));
  if (std::any_of(authorizations.begin(), authorizations.end(), IsPending)) {
    awaiting_verdict_ = true;
    RETURN_IF_ERROR(WaitForVerdicts(authorizations, !tasks.empty()));
  }
  awaiting_verdict_ = false;
  return ComplaintsOf(authorizations);
}

absl::StatusOr<AcmeAuthorization> Authorizations::Fetch(const std::string& url) {
  ASSIGN_OR_RETURN(const AcmeAnswer answer, context_.client.Fetch(context_.account.signer(), url));
  return Read(answer, url);
}

// What goes to the hook is in it: only what we ordered may.
absl::StatusOr<AcmeAuthorization> Authorizations::Read(const AcmeAnswer& answer, const std::string& url) const {
  RETURN_IF_ERROR(answer.Check("reading an authorization"));
  ASSIGN_OR_RETURN(AcmeAuthorization authorization, ParseAuthorization(answer.body));
  const auto& names = context_.journal.record().identifiers();
  if (std::find(names.begin(), names.end(), authorization.Name()) == names.end()) {
    return Fail(Reason::PROTOCOL, absl::StrCat("the CA asks for `", authorization.Name(), "`, which was not ordered"));
  }
  authorization.url = url;
  return authorization;
}

absl::StatusOr<std::vector<AcmeAuthorization>> Authorizations::FetchAll(const std::vector<std::string>& urls) {
  std::vector<AcmeAuthorization> authorizations;
  for (const std::string& url : urls) {
    ASSIGN_OR_RETURN(authorizations.emplace_back(), Fetch(url));
  }
  return authorizations;
}

// The challenges that the CA has not been told about. One that it is looking at already was presented by an earlier
// run.
absl::StatusOr<std::vector<Authorizations::Task>> Authorizations::Tasks(
    const std::vector<AcmeAuthorization>& authorizations) {
  std::vector<Task> tasks;
  for (const AcmeAuthorization& authorization : authorizations) {
    // Without challenges the CA decides by other means.
    if (!authorization.pending() || authorization.challenges.empty()) continue;
    const AcmeChallenge* challenge = authorization.Find(context_.solver.type());
    if (challenge == nullptr) return NotOffered(authorization, context_.solver.type());
    const bool told = challenge->status != "pending";
    if (told && context_.solver.outlives_process()) continue;
    ASSIGN_OR_RETURN(Task task, TaskFor(authorization, *challenge));
    task.told = told;
    RETURN_IF_ERROR(context_.solver.Prepare(task.record));
    tasks.push_back(std::move(task));
  }
  return tasks;
}

absl::StatusOr<Authorizations::Task> Authorizations::TaskFor(const AcmeAuthorization& authorization,
                                                             const AcmeChallenge& challenge) {
  // What stands needs no token.
  const bool has_token = !challenge.token.empty() || challenge.type == "dns-persist-01";
  if (challenge.url.empty() || !has_token) {
    return Fail(Reason::PROTOCOL, absl::StrCat(authorization.Name(), ": the CA's challenge has no url or no token"));
  }
  Task task;
  task.authorization_url = authorization.url;
  task.challenge_url = challenge.url;
  task.record.set_domain(authorization.domain);
  task.record.set_token(challenge.token);
  ASSIGN_OR_RETURN(*task.record.mutable_key_authorization(), KeyAuthorization(challenge.token, context_.account.key()));
  task.record.set_type(RecordedType(context_.solver));
  for (const std::string& name : challenge.issuer_domain_names) task.record.add_issuer_domain_names(name);
  task.record.set_account_url(context_.account.signer().account_url);
  task.record.set_wildcard(authorization.wildcard);
  return task;
}

// What an earlier run may have presented is removed first, so that nothing is there twice; but for what the CA is about
// to look at.
absl::Status Authorizations::RemoveStale(const std::vector<AcmeAuthorization>& authorizations) {
  std::vector<PresentedChallenge> keep;
  for (const AcmeAuthorization& authorization : authorizations) {
    const AcmeChallenge* challenge = authorization.Find(context_.solver.type());
    if (!authorization.pending() || challenge == nullptr || challenge->status != "processing") continue;
    ASSIGN_OR_RETURN(const Task task, TaskFor(authorization, *challenge));
    keep.push_back(task.record);
  }
  absl::Status removed = presentation_.Remove(keep);
  if (ReasonOf(removed) != Reason::CHALLENGE_FAILED) return removed;
  context_.on_progress(removed.message());
  return absl::OkStatus();
}

absl::Status Authorizations::Tell(const std::vector<Task>& tasks) {
  for (const Task& task : tasks) {
    if (task.told) continue;
    awaiting_verdict_ = true;
    RETURN_IF_ERROR(TellOne(task));
  }
  return absl::OkStatus();
}

absl::Status Authorizations::TellOne(const Task& task) {
  const AcmeSigner signer = context_.account.signer();
  ASSIGN_OR_RETURN(const AcmeAnswer answer, context_.client.Respond(signer, task.challenge_url));
  absl::Status refused = answer.Check(absl::StrCat("asking the CA to look at ", context_.solver.Place(task.record)));
  if (ReasonOf(refused) != Reason::CA_REFUSED) return refused;
  // It may have heard before, when its answer was lost, and be past the point where it wants to hear it.
  ASSIGN_OR_RETURN(const AcmeAnswer current, context_.client.Fetch(signer, task.authorization_url));
  if (!current.ok()) return refused;
  ASSIGN_OR_RETURN(const AcmeAuthorization authorization, ParseAuthorization(current.body));
  const AcmeChallenge* challenge = authorization.Find(context_.solver.type());
  return challenge != nullptr && challenge->status == "pending" ? refused : absl::OkStatus();
}

// It has not looked yet when it has just been told, so the first question would be one too many.
absl::Status Authorizations::WaitForVerdicts(std::vector<AcmeAuthorization>& authorizations, bool just_told) {
  context_.on_progress(absl::StrCat("waiting for the CA to look at the ", context_.solver.noun(), "s"));
  Patience patience(context_.clock, context_.limits.validation);
  if (just_told) patience.Wait(std::nullopt);
  for (AcmeAuthorization& authorization : authorizations) {
    if (authorization.pending()) RETURN_IF_ERROR(WaitForVerdict(authorization, patience));
  }
  return absl::OkStatus();
}

absl::Status Authorizations::WaitForVerdict(AcmeAuthorization& authorization, Patience& patience) {
  for (int looks = 0;;) {
    const auto answer = context_.client.Fetch(context_.account.signer(), authorization.url);
    const std::optional<absl::Time> retry_at = answer.ok() ? answer->retry_at : std::nullopt;
    if (!IsTransient(answer)) {
      RETURN_IF_ERROR(answer.status());
      ASSIGN_OR_RETURN(authorization, Read(*answer, authorization.url));
      if (!authorization.pending()) return absl::OkStatus();
      RETURN_IF_ERROR(AskToLookAgain(authorization, looks));
    }
    if (patience.Wait(retry_at)) continue;
    if (!answer.ok()) return answer.status();
    const absl::Status pending = Fail(Reason::ORDER_PENDING,
                                      absl::StrCat("the CA has not looked at every ", context_.solver.noun(), " after ",
                                                   absl::FormatDuration(context_.limits.validation)),
                                      "the records stay, and the next apply goes on with the same order");
    return retry_at ? WithRetryAt(pending, *retry_at) : pending;
  }
}

// Some CAs leave a challenge pending when they did not find what they looked for, and look again only when they are
// told again (RFC 8555 section 8.2).
absl::Status Authorizations::AskToLookAgain(const AcmeAuthorization& authorization, int& looks) {
  const AcmeChallenge* challenge = authorization.Find(context_.solver.type());
  if (challenge == nullptr || challenge->status != "pending" || !challenge->error) return absl::OkStatus();
  if (++looks == kMostLooks) {
    awaiting_verdict_ = false;
    return WithStep(Fail(Reason::CHALLENGE_FAILED,
                         absl::StrCat("the CA looked ", kMostLooks, " times: ", authorization.Complaint()),
                         "compare what the CA saw with what is shown here; the next apply goes on with the same order"),
                    "validation");
  }
  context_.on_progress(absl::StrCat("asking the CA to look again: ", authorization.Complaint()));
  // What it says to that is seen at the next question.
  return context_.client.Respond(context_.account.signer(), challenge->url).status();
}

absl::StatusOr<std::vector<std::string>> Authorizations::Complaints(const std::vector<std::string>& urls) {
  ASSIGN_OR_RETURN(const std::vector<AcmeAuthorization> authorizations, FetchAll(urls));
  return ComplaintsOf(authorizations);
}

}  // namespace certcast::controller
