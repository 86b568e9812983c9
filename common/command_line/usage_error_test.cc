#include "common/command_line/usage_error.h"

#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace certcast {
namespace {

// What a program with the verb `apply` and the option --output says to `line`; empty when it is content.
std::string Say(const std::string& line) {
  CLI::App app("", "certcast");
  std::string output;
  app.add_option("-o,--output", output)->check(CLI::IsMember({"table", "json"}));
  app.require_subcommand(1);
  app.fallthrough();
  app.add_subcommand("apply", "");
  app.failure_message(DescribeUsageError);
  std::ostringstream out, err;
  try {
    app.parse(line);
  } catch (const CLI::ParseError& error) {
    app.exit(error, out, err);
  }
  return err.str();
}

constexpr char kHint[] = "\n  hint: certcast --help, or --help after a verb\n";

TEST(UsageError, NamesTheWordThatIsWrong) {
  EXPECT_EQ(Say("apply"), "");
  EXPECT_EQ(Say("aply"), std::string("certcast: \"aply\" is not one of its verbs or options") + kHint);
  EXPECT_EQ(Say(""), std::string("certcast: A subcommand is required") + kHint);
  EXPECT_EQ(Say("apply --nope"), std::string("certcast: The following argument was not expected: --nope") + kHint);
  EXPECT_EQ(Say("apply -o xml"), std::string("certcast: --output: xml not in {table,json}") + kHint);
}

}  // namespace
}  // namespace certcast
