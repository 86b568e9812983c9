// What is shown to a CA, from before it is made until it is gone: each is in the order's journal as long as it may
// exist.
#ifndef CERTCAST_CONTROLLER_ACME_PRESENTATION_H_
#define CERTCAST_CONTROLLER_ACME_PRESENTATION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/issue_options.h"
#include "controller/acme/order_journal.h"

namespace certcast::controller {

// The type as records have it.
std::string RecordedType(const ChallengeSolver& solver);

class Presentation {
 public:
  using Challenge = state::v1::PresentedChallenge;

  // All of it must outlive this.
  Presentation(OrderJournal& journal, ChallengeSolver& solver, const OnIssueProgress& on_progress)
      : journal_(journal), solver_(solver), on_progress_(on_progress) {}

  Presentation(const Presentation&) = delete;
  Presentation& operator=(const Presentation&) = delete;

  // Of prepared challenges: notes them, makes them, and waits until they can be seen.
  absl::Status Present(const std::vector<Challenge>& challenges);
  // Takes away everything that is noted but `keep`. What could not be removed stays noted, and later runs try again, a
  // bounded number of times; within this run it is tried once, unless it is presented again. The error names each.
  absl::Status Remove(const std::vector<Challenge>& keep);

 private:
  // What is about to be made is in the journal from then on.
  absl::Status NoteBefore(const std::vector<Challenge>& challenges);
  // Of what was noted and never made.
  absl::Status Forget(const std::vector<Challenge>& unmade);
  absl::Status RemoveOne(const Challenge& challenge);
  // "TXT record _acme-challenge.example.com. (value V)".
  std::string Describe(const Challenge& challenge) const;

  OrderJournal& journal_;
  ChallengeSolver& solver_;
  const OnIssueProgress& on_progress_;
  // This run could not remove them.
  std::vector<Challenge> stuck_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_PRESENTATION_H_
