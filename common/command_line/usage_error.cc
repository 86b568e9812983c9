#include "common/command_line/usage_error.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace certcast {
namespace {

// CLI11 only says that a verb is missing when it does not know the one that is there.
std::string What(const CLI::App& app, const CLI::Error& error) {
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (dynamic_cast<const CLI::RequiredError*>(&error) == nullptr || unknown.empty()) return error.what();
  return absl::StrCat("\"", unknown.front(), "\" is not one of its verbs or options");
}

}  // namespace

std::string DescribeUsageError(const CLI::App* app, const CLI::Error& error) {
  return absl::StrCat(app->get_name(), ": ", What(*app, error), "\n  hint: ", app->get_name(),
                      " --help, or --help after a verb\n");
}

}  // namespace certcast
