#include "tests/testing/leaks.h"

#include <filesystem>
#include <string>

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
using ::testing::Not;

TEST(Leaks, AreFoundWhereverASecretMayNotBe) {
  const TemporaryDirectory folder;
  const std::string key(TestCa::SelfSigned({}).key_pem.ExposeSecret());
  ASSERT_THAT(WriteFile(folder.path() + "/key.pem", key), IsOk());
  const auto secrets = PrivateKeyLinesBelow(folder.path());
  ASSERT_THAT(secrets, Not(IsEmpty()));
  const auto find = [&] { return FindLeaks(folder.path(), {secrets.front()}, {".log"}, {folder.path() + "/sealed"}); };
  EXPECT_THAT(find(), IsEmpty());

  const struct {
    std::string path;
    int mode;
  } cases[] = {{"/readable", 0640}, {"/agent.log", 0600}, {"/sealed/certcast.db", 0600}};
  ASSERT_TRUE(std::filesystem::create_directory(folder.path() + "/sealed"));
  for (const auto& [path, mode] : cases) {
    ASSERT_THAT(WriteFile(folder.path() + path, "before " + key + " after", mode), IsOk());
    EXPECT_THAT(find(), ElementsAre(HasSubstr(path)));
    ASSERT_TRUE(std::filesystem::remove(folder.path() + path));
  }
}

}  // namespace
}  // namespace certcast::testing
