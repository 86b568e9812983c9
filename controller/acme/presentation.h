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
  // Takes away everything that is noted but `keep`. What this run could not remove stays noted for the next one; what
  // an earlier run could not remove is not tried a third time. The first error is returned.
  absl::Status Remove(const std::vector<Challenge>& keep);

 private:
  // What is about to be made is in the journal from then on.
  absl::Status NoteBefore(const std::vector<Challenge>& challenges);
  absl::Status RemoveOne(const Challenge& challenge);

  OrderJournal& journal_;
  ChallengeSolver& solver_;
  const OnIssueProgress& on_progress_;
  // By this run.
  std::vector<Challenge> presented_now_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_PRESENTATION_H_
