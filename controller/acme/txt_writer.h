// Who writes TXT records for dns-01.
#ifndef CERTCAST_CONTROLLER_ACME_TXT_WRITER_H_
#define CERTCAST_CONTROLLER_ACME_TXT_WRITER_H_

#include <vector>

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"

namespace certcast::controller {

// Called for one record at a time. Errors are CHALLENGE_FAILED, and name the record.
class TxtWriter {
 public:
  virtual ~TxtWriter() = default;

  // All that is about to be presented, before the first of them.
  virtual void Announce(const std::vector<state::v1::PresentedChallenge>& challenges) { (void)challenges; }
  // Adds the value; others at the same name must stay (apex and wildcard have one name and two values).
  virtual absl::Status Present(const state::v1::PresentedChallenge& challenge) = 0;
  // Removes that value alone. Called also for one that a crash kept from being written.
  virtual absl::Status CleanUp(const state::v1::PresentedChallenge& challenge) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_TXT_WRITER_H_
