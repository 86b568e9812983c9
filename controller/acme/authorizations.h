// Shows the CA that the names are ours (RFC 8555 section 7.5).
#ifndef CERTCAST_CONTROLLER_ACME_AUTHORIZATIONS_H_
#define CERTCAST_CONTROLLER_ACME_AUTHORIZATIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock/clock.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/issue_options.h"
#include "controller/acme/order_journal.h"
#include "controller/acme/patience.h"
#include "controller/acme/presentation.h"
#include "controller/acme/resources.h"

namespace certcast::controller {

class Authorizations {
 public:
  struct Context {
    AcmeClient& client;
    const AcmeAccount& account;
    OrderJournal& journal;
    ChallengeSolver& solver;
    Clock& clock;
    const IssueLimits& limits;
    const OnIssueProgress& on_progress;
  };
  // All that it refers to must outlive this.
  explicit Authorizations(const Context& context)
      : context_(context), presentation_(context.journal, context.solver, context.on_progress) {}

  Authorizations(const Authorizations&) = delete;
  Authorizations& operator=(const Authorizations&) = delete;

  // Until none of them is pending: presents what is asked for, waits until it is seen, tells the CA, waits for its
  // verdict. What is valid already costs nothing. Returns what the CA holds against the names, one entry a name: empty
  // when all of them are valid. ORDER_PENDING when the CA takes longer than the limit. CHALLENGE_FAILED when it keeps
  // looking in vain and leaves it at that: the order can still become something.
  absl::StatusOr<std::vector<std::string>> Complete(const std::vector<std::string>& urls);
  // The CA was told to look and has not said what it saw: without the records the order would fail.
  bool awaiting_verdict() const { return awaiting_verdict_; }
  // Takes away everything that was presented: see Presentation::Remove.
  absl::Status CleanUp() { return presentation_.Remove({}); }
  // The same, asked for now.
  absl::StatusOr<std::vector<std::string>> Complaints(const std::vector<std::string>& urls);

 private:
  struct Task {
    std::string authorization_url;
    std::string challenge_url;
    // The CA is looking at it already: an earlier run told it.
    bool told = false;
    state::v1::PresentedChallenge record;
  };

  absl::StatusOr<std::vector<AcmeAuthorization>> FetchAll(const std::vector<std::string>& urls);
  absl::StatusOr<std::vector<Task>> Tasks(const std::vector<AcmeAuthorization>& authorizations);
  absl::StatusOr<Task> TaskFor(const AcmeAuthorization& authorization, const AcmeChallenge& challenge);
  absl::Status RemoveStale(const std::vector<AcmeAuthorization>& authorizations);
  absl::Status Tell(const std::vector<Task>& tasks);
  absl::Status TellOne(const Task& task);
  absl::StatusOr<AcmeAuthorization> Fetch(const std::string& url);
  absl::StatusOr<AcmeAuthorization> Read(const AcmeAnswer& answer, const std::string& url) const;
  // Asks for each that is pending until it is not.
  absl::Status WaitForVerdicts(std::vector<AcmeAuthorization>& authorizations, bool just_told);
  absl::Status WaitForVerdict(AcmeAuthorization& authorization, Patience& patience);
  // `looks`: how often the CA looked in vain.
  absl::Status AskToLookAgain(const AcmeAuthorization& authorization, int& looks);

  const Context context_;
  Presentation presentation_;
  bool awaiting_verdict_ = false;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_AUTHORIZATIONS_H_
