// dns-01 where a zone has two name servers and one of them is late: two real BINDs, which the controller finds by the
// zone's NS records as it would on the Internet, in a network of the test's own, where port 53 is free. Runs as root.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/process/process.h"
#include "controller/acme/issuer.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/bind.h"
#include "tests/testing/pebble_fixture.h"
#include "tests/testing/private_network.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::Bind;
using ::testing::Contains;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

constexpr char kSecondary[] = "ns2.demo.test. (127.0.0.2:53)";
// Of Pebble's log, where it begins to validate.
constexpr char kValidates[] = "Pulled a task from the Tasks queue";

class SecondaryDnsTest : public testing::PebbleFixture {
 protected:
  static void SetUpTestSuite() {
    network_ = new testing::TemporaryDirectory();
    ASSERT_THAT(testing::EnterPrivateNetwork(network_->path()), IsOk());
    // BIND listens on addresses that an interface has, and no others of 127/8.
    const auto added = ProcessRunner::Real().Run({.argv = {"ip", "address", "add", "127.0.0.2/8", "dev", "lo"}});
    ASSERT_THAT(added, IsOk());
    ASSERT_TRUE(added->ok()) << added->error;
  }
  static void TearDownTestSuite() { delete network_; }

  void SetUp() override {
    const std::vector<testing::BindZone> zones = {{.name = "demo.test", .records = {}}};
    for (const char* of : {"/primary", "/secondary"}) std::filesystem::create_directory(directory_.path() + of);
    auto primary = Bind::Start(directory_.path() + "/primary", zones, {.port = 53, .secondaries = {"127.0.0.2"}});
    ASSERT_THAT(primary, IsOk());
    primary_ = *std::move(primary);
    auto secondary = Bind::StartSecondary(directory_.path() + "/secondary", zones, primary_->address(),
                                          {.host = "127.0.0.2", .port = 53});
    ASSERT_THAT(secondary, IsOk());
    secondary_ = *std::move(secondary);
    ASSERT_NO_FATAL_FAILURE(StartPebble({.dns_server = primary_->address()}));
    certificate_.domains = {"*.demo.test"};
    certificate_.challenge->propagation = {};
    Rfc2136Server update;
    update.server = primary_->address();
    update.tsig.emplace();
    update.tsig->name = Bind::kKeyName;
    update.tsig->secret = {SecretReference::Kind::kFile, primary_->key_file()};
    update.timeout = absl::Seconds(20);
    certificate_.challenge->writer = update;
  }
  // The servers end last: each takes what was started after it along.
  void TearDown() override {
    pebble_.reset();
    secondary_.reset();
  }

  absl::Status Issue() {
    Issuer issuer = MakeIssuer();
    return issuer.Issue(certificate_, account_, /*epoch=*/0, [this](absl::string_view line) { Hear(line); }).status();
  }

  // The secondary comes back once it is waited for, with the zone as it was before.
  void Hear(absl::string_view line) {
    progress_.emplace_back(line);
    if (!comes_back_ || !absl::StrContains(line, kSecondary)) return;
    EXPECT_THAT(pebble_->Log(), Not(HasSubstr(kValidates)));
    secondary_->Thaw();
  }

  static testing::TemporaryDirectory* network_;
  bool comes_back_ = false;
  std::unique_ptr<Bind> primary_;
  std::unique_ptr<Bind> secondary_;
};

testing::TemporaryDirectory* SecondaryDnsTest::network_ = nullptr;

TEST_F(SecondaryDnsTest, TheCaIsAskedOnceTheLastServerHasTheRecord) {
  comes_back_ = true;
  secondary_->Freeze();
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log() << secondary_->Log();
  EXPECT_THAT(progress_, Contains(AllOf(HasSubstr("waiting for _acme-challenge.demo.test."), HasSubstr(kSecondary),
                                        HasSubstr("did not answer"))));
  EXPECT_THAT(pebble_->Log(), HasSubstr(kValidates));
  EXPECT_FALSE(OrderRecords(store_).Get("wildcard")->has_value());
}

TEST_F(SecondaryDnsTest, AServerThatNeverGetsItIsNamedAndTheCaIsNotAsked) {
  certificate_.challenge->propagation.timeout = absl::Seconds(4);
  secondary_->Freeze();
  const absl::Status status = Issue();
  secondary_->Thaw();
  EXPECT_THAT(status, HasReason(Reason::CHALLENGE_FAILED,
                                AllOf(HasSubstr("is not everywhere after 4s"), HasSubstr(kSecondary))));
  EXPECT_THAT(pebble_->Log(), Not(HasSubstr(kValidates)));
  EXPECT_THAT(primary_->Log(), HasSubstr("deleting an RR at _acme-challenge.demo.test TXT"));
}

}  // namespace
}  // namespace certcast::controller
