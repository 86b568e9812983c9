// Accounts that a CA makes difficult, with real Pebble: External Account Binding (RFC 8555 section 7.3.4), and nonces
// that are refused. And that the secrets of all this stay where they belong.
#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKey[] = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
constexpr char kOtherKey[] = "b10lLJs8l1GPIzsLP0s6pMt8O0XVGnfTaCeROxQM0BIt2XrJMDHJZBM5NuQmQJQH";
constexpr char kBinding[] = "{key_id: kid-1, hmac_key: {file: eab.key}}";

class AccountTest : public FleetTest {
 protected:
  // A CA that wants `kid-1` with kKey, and an operator who has been given `key`.
  void StartFleetWithKey(const std::string& key) {
    FleetOptions options = {.nodes = 1, .external_account = kBinding};
    options.pebble = {.external_account_required = true, .external_accounts = {{"kid-1", kKey}}};
    AddSecret(kKey);
    AddSecret(kOtherKey);
    ASSERT_NO_FATAL_FAILURE(StartFleet(std::move(options)));
    WriteKey(key);
  }
  void WriteKey(const std::string& key) {
    ASSERT_THAT(WriteFile(fleet().home() + "/eab.key", absl::StrCat(key, "\n")), IsOk());
  }
  // Everything that runs, as anybody sees it, and what this child was given.
  std::string SnapshotLines() {
    return absl::StrCat("cat /proc/[0-9]*/cmdline /proc/self/environ >>", fleet().home(),
                        "/seen 2>/dev/null || true\n");
  }
};

TEST_F(AccountTest, AnExternalAccountIsBound) {
  ASSERT_NO_FATAL_FAILURE(StartFleetWithKey(kKey));
  ApplyFirst();
}

TEST_F(AccountTest, AWrongExternalAccountKeyIsSaidSoAndTheRightOneThenWorks) {
  ASSERT_NO_FATAL_FAILURE(StartFleetWithKey(kOtherKey));
  const CommandResult refused = Apply();
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("registering the account `pebble`: the CA answered unauthorized"),
                                 HasSubstr("hint: check external_account"), HasSubstr("eab.key holds the key")));
  EXPECT_EQ(fleet().Orders(), 0);

  WriteKey(kKey);
  ApplyFirst();
}

TEST_F(AccountTest, AMissingExternalAccountIsSaidSo) {
  ASSERT_NO_FATAL_FAILURE(StartFleetWithKey(kKey));
  fleet().options().external_account = "";
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  const CommandResult refused = Apply();
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("the account `pebble`: the CA requires an external account"),
                                 HasSubstr("hint: set external_account (key_id and hmac_key)")));
  EXPECT_EQ(fleet().Orders(), 0);
}

TEST_F(AccountTest, NoncesThatAreRefusedHalfTheTimeAreNoObstacle) {
  FleetOptions options = {.nodes = 1};
  options.pebble.bad_nonces_percent = 50;
  ASSERT_NO_FATAL_FAILURE(StartFleet(std::move(options)));
  ApplyFirst();
  EXPECT_THAT(fleet().pebble().Log(), HasSubstr("Configured to reject 50% of good nonces"));
}

TEST_F(AccountTest, NoSecretIsInACommandLineOrAnEnvironment) {
  ASSERT_NO_FATAL_FAILURE(StartFleetWithKey(kKey));
  const std::string hook = fleet().home() + "/watching-hook";
  ASSERT_THAT(
      WriteFile(hook, absl::StrCat("#!/bin/sh\n", SnapshotLines(), "exec ", fleet().pebble().hook(), " \"$@\"\n"),
                0755),
      IsOk());
  fleet().options().hook = hook;
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  FleetNode& node = fleet().nodes().front();
  ASSERT_THAT(node.SetReload(absl::StrCat(SnapshotLines(), kReload)), IsOk());
  ApplyFirst();

  // So that what is looked for next would be found.
  const std::string seen = ReadFile(fleet().home() + "/seen");
  EXPECT_THAT(seen, AllOf(HasSubstr("controller/certcast"), HasSubstr("node/certcast-node"), HasSubstr("PATH=")));
  const std::vector<std::string> secrets = Secrets();
  EXPECT_THAT(secrets, Contains(kKey));
  for (const std::string& secret : secrets) EXPECT_THAT(seen, Not(HasSubstr(secret)));
}

TEST_F(AccountTest, KeysAreForTheirOwnerAlone) {
  ASSERT_NO_FATAL_FAILURE(StartFleetWithKey(kKey));
  ApplyFirst();
  const std::string& home = fleet().nodes().front().home();
  for (const std::string& path :
       {home + "/tls/privkey.pem", home + "/state/identity/key.pem", fleet().home() + "/controller/certcast.db"}) {
    struct stat found = {};
    ASSERT_EQ(stat(path.c_str(), &found), 0) << path;
    EXPECT_EQ(found.st_mode & 07777, 0600u) << path;
  }
}

}  // namespace
}  // namespace certcast::testing
