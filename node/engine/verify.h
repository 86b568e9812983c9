// Whether a bundle may be installed here: everything that is decided before anything is written.
#ifndef CERTCAST_NODE_ENGINE_VERIFY_H_
#define CERTCAST_NODE_ENGINE_VERIFY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "certcast/v1/link.pb.h"
#include "common/manifest/manifest.h"
#include "node/engine/context.h"
#include "node/engine/stage.h"

namespace certcast::node {

struct VerifiedInstall {
  VerifiedBundle bundle;
  // That use the certificate; at least one.
  std::vector<const Service*> services;
  StagedGeneration generation;
  // It is in force already, and every file reads as it would be installed now. Whether it is served is another
  // question.
  bool is_in_place = false;
};

// After VerifyBundle's reasons: NOT_DECLARED when no service uses the certificate, DOWNGRADE for a generation below the
// highest accepted one or the same with other contents, PERMISSION_DENIED when a path can't be put in place, or others
// may put something there.
// MALFORMED for a wait for Confirm outside of 1 s to 1 h. The node belongs to a fleet: that was looked at before.
// Writes nothing but a trial link that it removes.
absl::StatusOr<VerifiedInstall> VerifyInstall(const EngineContext& engine, const v1::Install& command);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_VERIFY_H_
