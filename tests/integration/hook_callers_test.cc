// Hooks are called as the clients call them for which they were written: one hook, called by Debian's lego, certbot or
// dehydrated and by certcast, for the same names at the same CA, sees the same.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "re2/re2.h"
#include "tests/testing/other_clients.h"
#include "tests/testing/pebble_fixture.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAreArray;
using testing::IsOk;
using ::testing::SizeIs;

// Notes each call.
constexpr char kNote[] = R"(#!/bin/sh
set -eu
printf '%s\n' "$*" >>"$(dirname "$0")/notes"
)";

class HookCallers : public testing::PebbleFixture {
 protected:
  void SetUp() override { ASSERT_NO_FATAL_FAILURE(StartPebble({})); }

  const std::string& home() const { return directory_.path(); }
  // A script in a folder of its own, where its notes go.
  std::string MakeHook(const std::string& text) {
    std::string path = home() + "/hook";
    EXPECT_THAT(testing::WriteFile(path, text, 0700), IsOk());
    return path;
  }
  // What was noted since the last call, without what is different each time; sorted.
  std::vector<std::string> TakeNotes() {
    std::string text = testing::ReadFile(home() + "/notes");
    EXPECT_THAT(testing::WriteFile(home() + "/notes", ""), IsOk());
    // Key authorizations first: they begin with a token.
    RE2::GlobalReplace(&text, "[A-Za-z0-9_-]{43}\\.[A-Za-z0-9_-]{43}", "AUTHORIZATION");
    RE2::GlobalReplace(&text, "[A-Za-z0-9_-]{43}", "VALUE");
    std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  void RunCertcast(decltype(ChallengeConfig::writer) writer) {
    certificate_.domains = {"demo.test", "*.demo.test"};
    certificate_.challenge->writer = std::move(writer);
    ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
  }
};

TEST_F(HookCallers, LegoExec) {
  const std::string hook = MakeHook(absl::StrCat(kNote, "exec ", pebble_->hook(), " \"$@\"\n"));
  ASSERT_THAT(testing::RunLego(*pebble_, home() + "/lego", hook), IsOk());
  const std::vector<std::string> legos = TakeNotes();
  EXPECT_THAT(legos, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(ExecHook{.command = {hook}}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(legos));
}

// $4 is the key authorization, whose digest is the record's value.
TEST_F(HookCallers, LegoExecRaw) {
  const std::string hook = MakeHook(absl::StrCat(
      kNote,
      "[ \"$2\" = -- ]\n"
      "value=$(printf %s \"$5\" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '=')\n"
      "exec ",
      pebble_->hook(), " \"$1\" \"_acme-challenge.$3.\" \"$value\"\n"));
  ASSERT_THAT(testing::RunLego(*pebble_, home() + "/lego", hook, "RAW"), IsOk());
  const std::vector<std::string> legos = TakeNotes();
  EXPECT_THAT(legos, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(ExecHook{.command = {hook}, .raw = true}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(legos));
}

TEST_F(HookCallers, Certbot) {
  // The variables by name; what one hook prints the other one gets.
  const std::string hook = MakeHook(
      absl::StrCat("#!/bin/sh\nset -eu\n"
                   "printf '%s ' \"$1\" $(env | grep ^CERTBOT_ | sort) >>\"$(dirname \"$0\")/notes\"\n"
                   "echo >>\"$(dirname \"$0\")/notes\"\n",
                   pebble_->hook(), " \"$1\" \"_acme-challenge.$CERTBOT_DOMAIN.\" \"$CERTBOT_VALIDATION\" >/dev/null\n",
                   "[ \"$1\" = cleanup ] || echo \"made for $CERTBOT_DOMAIN\"\n"));
  ASSERT_THAT(testing::RunCertbot(*pebble_, home() + "/certbot", hook), IsOk());
  const std::vector<std::string> certbots = TakeNotes();
  EXPECT_THAT(certbots, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(CertbotHook{.auth = {hook, "present"}, .cleanup = {hook, "cleanup"}}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(certbots));
}

TEST_F(HookCallers, Dehydrated) {
  const std::string hook = MakeHook(absl::StrCat(
      "#!/bin/sh\nset -eu\n"
      "case \"$1\" in deploy_challenge) verb=present ;; clean_challenge) verb=cleanup ;; *) exit 0 ;; esac\n"
      "printf '%s\\n' \"$*\" >>\"$(dirname \"$0\")/notes\"\n"
      "exec ",
      pebble_->hook(), " $verb \"_acme-challenge.$2.\" \"$4\"\n"));
  ASSERT_THAT(testing::RunDehydrated(*pebble_, home() + "/dehydrated", hook), IsOk());
  const std::vector<std::string> dehydrateds = TakeNotes();
  EXPECT_THAT(dehydrateds, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(DehydratedHook{.command = {hook}}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(dehydrateds));
}

}  // namespace
}  // namespace certcast::controller
