// Does it work, before a CA looks? What a challenge needs is made, seen and taken away again, without any order.
#ifndef CERTCAST_CONTROLLER_ACME_REHEARSAL_H_
#define CERTCAST_CONTROLLER_ACME_REHEARSAL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/issue_options.h"
#include "controller/acme/order_journal.h"
#include "controller/config/config.h"

namespace certcast::controller {

// What became of it; steps that were not reached are OK.
struct Rehearsal {
  // What is shown and where, each place once: "TXT record _acme-challenge.example.com., 2 values,".
  std::vector<std::string> places;
  // It was made here; false: it stands, or could not even be begun.
  bool made = false;
  // Somebody looked for it.
  bool looked = false;
  // Whether it could be made, and was seen by everyone who was asked, if anyone was; and whether it could be taken
  // away.
  absl::Status presented;
  absl::Status removed;
  // Whether what earlier runs had left could be taken away before.
  absl::Status leftovers;
};

// For every name of the certificate one challenge with a random token: an apex and its wildcard have two values at one
// name, as in an order. All is in `journal` as an order's is, so that the next order or rehearsal removes what a crash
// leaves; what is in it already stays. An error: the store's.
absl::StatusOr<Rehearsal> Rehearse(const CertificateConfig& certificate, ChallengeSolver& solver, OrderJournal& journal,
                                   const OnIssueProgress& on_progress);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_REHEARSAL_H_
