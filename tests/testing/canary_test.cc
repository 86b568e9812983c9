#include "tests/testing/canary.h"

#include <filesystem>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string PemOf(KeyType type) {
  return std::string(PrivateKey::Generate(type)->ToPem()->ExposeSecret());
}

// All forms that were planted in files of their own are found there, and nowhere else.
TEST(Canary, EveryFormIsFoundWhereItWasPlanted) {
  const TemporaryDirectory folder;
  const Canary canaries[] = {
      KeyCanary("EC key", PemOf(KeyType::kEcdsaP256), {}), KeyCanary("RSA key", PemOf(KeyType::kRsa2048), {}),
      KeyCanary("Ed25519 key", PemOf(KeyType::kEd25519), {}), BytesCanary("password", "correct horse battery", {})};
  const std::string path = folder.path() + "/agent.log";
  for (const Canary& canary : canaries) {
    EXPECT_GT(canary.forms.size(), 5u) << canary.name;
    for (const std::string& form : canary.forms) {
      ASSERT_THAT(WriteFile(path, absl::StrCat("before ", form, " after")), IsOk());
      EXPECT_THAT(FindCanaries(folder.path(), {canary}),
                  ElementsAre(HasSubstr(absl::StrCat("agent.log holds ", canary.name))));
    }
    ASSERT_THAT(WriteFile(path, "nothing"), IsOk());
    EXPECT_THAT(FindCanaries(folder.path(), {canary}), IsEmpty());
  }
}

TEST(Canary, IsFoundInWhatWasMadeOfIt) {
  const std::string pem = PemOf(KeyType::kEcdsaP256);
  const Canary key = KeyCanary("key", pem, {});
  const Canary password = BytesCanary("password", "correct horse battery", {});
  for (const std::string before : {"", "x", "xy"}) {
    EXPECT_NE(FindIn(absl::Base64Escape(before + "correct horse battery" + "z"), password), "") << before;
    EXPECT_NE(FindIn(absl::WebSafeBase64Escape(before + "correct horse battery"), password), "") << before;
    EXPECT_NE(FindIn(absl::Base64Escape(before + pem), key), "") << before;
  }
  EXPECT_NE(FindIn(absl::StrReplaceAll(pem, {{"\n", "\\n"}}), key), "");
  EXPECT_EQ(FindIn(PemOf(KeyType::kEcdsaP256), key), "");
}

TEST(Canary, MayBeWhereItIsDeclaredToBe) {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder.path() + "/state/web");
  const Canary canary = BytesCanary("password", "correct horse", {"state/*/key.pem"});
  EXPECT_FALSE(IsHeld(folder.path(), canary));
  ASSERT_THAT(WriteFile(folder.path() + "/state/web/key.pem", "correct horse"), IsOk());
  EXPECT_TRUE(IsHeld(folder.path(), canary));
  EXPECT_THAT(FindCanaries(folder.path(), {canary}), IsEmpty());
  ASSERT_THAT(WriteFile(folder.path() + "/state/web/key.pem.tmp", "correct horse"), IsOk());
  EXPECT_THAT(FindCanaries(folder.path(), {canary}), ElementsAre(HasSubstr("key.pem.tmp")));
}

}  // namespace
}  // namespace certcast::testing
