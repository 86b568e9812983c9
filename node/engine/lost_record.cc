#include "node/engine/lost_record.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "node/engine/layout.h"

namespace certcast::node {
namespace {

std::string Remove(const EngineConfig& config, absl::string_view record) {
  const std::string path = absl::StrCat(Layout(config.state).state(), "/", record);
  return absl::StrCat("rm -f ", path, ".0 ", path, ".1");
}

// Over SSH the agent is started by who applies.
absl::string_view ThenApply(const EngineConfig& config) {
  return config.hosted ? "then run certcast apply" : "start the agent, then run certcast apply";
}

}  // namespace

std::string WithoutJournal(const EngineConfig& config) {
  return absl::StrCat(
      "services go on with what they have; an install that was under way is neither finished nor taken "
      "back, so do not restart them before this is done: ",
      Remove(config, "journal"), " (never put a journal back from a backup), ", ThenApply(config),
      ", which brings what was cut off");
}

std::string WithoutState(const EngineConfig& config) {
  return absl::StrCat("services go on with what they have. Put both files back from a backup, or ",
                      Remove(config, "state"), ": what services read then counts as what was there before certcast; ",
                      ThenApply(config), ", which installs anew");
}

}  // namespace certcast::node
