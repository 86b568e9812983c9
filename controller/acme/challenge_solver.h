// What the CA looks at to see that a name is ours: made, awaited, and taken away again (RFC 8555 section 8).
#ifndef CERTCAST_CONTROLLER_ACME_CHALLENGE_SOLVER_H_
#define CERTCAST_CONTROLLER_ACME_CHALLENGE_SOLVER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"

namespace certcast::controller {

// Marks the error of a step that was not even begun, as the last change to it: other changes lose the mark.
absl::Status NothingWasMade(absl::Status status);
bool IsNothingMade(const absl::Status& status);

// One kind of challenge, shown in one way. Thread-compatible; called for one challenge at a time.
//
// The caller keeps the record of what was presented, before it is presented. So CleanUp comes also for what a crash
// kept from being made, or what is gone already.
class ChallengeSolver {
 public:
  using Challenge = state::v1::PresentedChallenge;

  virtual ~ChallengeSolver() = default;

  // As the CA calls it: dns-01, http-01.
  virtual absl::string_view type() const = 0;
  // What is made for a challenge, without an article: "TXT record".
  virtual absl::string_view noun() const = 0;
  // Where: "_acme-challenge.example.com.". Of a prepared challenge.
  virtual std::string Place(const Challenge& challenge) const = 0;
  // What was presented stays when this process ends. Otherwise the next one presents it again while the CA looks.
  virtual bool outlives_process() const { return true; }

  // Present makes something, and CleanUp takes it away. False: an operator did, for good.
  virtual bool makes() const { return true; }
  // AwaitVisible looks. False: what the CA will see is not known before it is asked.
  virtual bool looks() const = 0;

  // Completes the record of a challenge, of which domain, token, key authorization and type are set, with all that
  // Present and CleanUp need. Nothing is made yet. Errors are CHALLENGE_FAILED.
  virtual absl::Status Prepare(Challenge& challenge) = 0;

  // All that is about to be presented, before the first of them.
  virtual void Announce(const std::vector<Challenge>& challenges) { (void)challenges; }
  // Adds what the CA is to see; what is there of others stays. Errors are CHALLENGE_FAILED; it may be there all the
  // same, but for those that NothingWasMade marks.
  virtual absl::Status Present(const Challenge& challenge) = 0;
  // Waits until all of them can be seen by whom the CA may ask. CHALLENGE_FAILED when that takes too long.
  virtual absl::Status AwaitVisible(const std::vector<Challenge>& challenges,
                                    const std::function<void(absl::string_view)>& on_progress) = 0;
  // Takes away what Present added for this challenge, and nothing else. Errors are CHALLENGE_FAILED.
  virtual absl::Status CleanUp(const Challenge& challenge) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_CHALLENGE_SOLVER_H_
