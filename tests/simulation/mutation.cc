#include "tests/simulation/mutation.h"

namespace certcast::simulation {

absl::string_view NameOf(Mutation mutation) {
  static constexpr absl::string_view kNames[kMutations] = {
      "none",
      "probes see what they should",
      "epochs are ignored",
      "results are forgotten",
      "nobody watches the deadline",
      "steps are not saved",
      "the lease is not checked",
      "the budget is not kept",
      "confirms are lost",
      "reverts are lost",
      "requests are lost",
      "pauses are forgotten",
      "windows are ignored",
      "certificates are mixed up",
      "recovery does not reload",
      "visits do not wait",
      "the state is not locked",
  };
  return kNames[static_cast<int>(mutation)];
}

}  // namespace certcast::simulation
