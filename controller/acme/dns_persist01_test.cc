#include "controller/acme/dns_persist01.h"

#include <string>

#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_dns_client.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;

constexpr char kServer[] = "192.0.2.53:53";

state::v1::PresentedChallenge Challenge(bool wildcard) {
  state::v1::PresentedChallenge challenge;
  challenge.set_domain("example.com");
  challenge.add_issuer_domain_names("ca.example");
  challenge.add_issuer_domain_names("other-ca.example");
  challenge.set_account_url("https://ca.example/acct/1");
  challenge.set_wildcard(wildcard);
  return challenge;
}

TEST(AllowsIssuance, OfTheRightCaForTheRightAccount) {
  const absl::Time now = absl::FromUnixSeconds(2'000'000'000);
  struct Case {
    const char* record;
    bool plain;
    bool wildcard;
  };
  const Case cases[] = {
      {"ca.example; accounturi=https://ca.example/acct/1", true, false},
      {"CA.Example. ;accounturi = https://ca.example/acct/1", true, false},
      {"other-ca.example; accounturi=https://ca.example/acct/1; policy=wildcard", true, true},
      {"ca.example; policy=WILDCARD; accounturi=https://ca.example/acct/1; more=x", true, true},
      {"ca.example; accounturi=https://ca.example/acct/1; policy=specific", true, false},
      {"ca.example; accounturi=https://ca.example/acct/1; persistUntil=2000000001", true, false},
      {"ca.example; accounturi=https://ca.example/acct/1; persistUntil=2000000000", false, false},
      {"ca.example; accounturi=https://ca.example/acct/1; persistUntil=soon", false, false},
      {"ca.example; accounturi=https://ca.example/acct/11", false, false},
      {"ca.example; accounturi=https://ca.example/acct/", false, false},
      {"ca.example", false, false},
      {"example; accounturi=https://ca.example/acct/1", false, false},
      {"; accounturi=https://ca.example/acct/1", false, false},
      {"", false, false},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(AllowsIssuance(test.record, Challenge(false), now), test.plain) << test.record;
    EXPECT_EQ(AllowsIssuance(test.record, Challenge(true), now), test.wildcard) << test.record;
  }
}

class DnsPersist01Test : public ::testing::Test {
 protected:
  DnsPersist01Test() {
    propagation_.resolvers = {"192.0.2.99:53", kServer};
    dns_.Add(kServer, {.owner = "example.com.", .type = DnsType::kSoa, .data = "ns.example.com."});
  }
  absl::Status Look(bool wildcard) {
    DnsPersist01 solver(propagation_, dns_, clock_);
    state::v1::PresentedChallenge challenge = Challenge(wildcard);
    EXPECT_THAT(solver.Prepare(challenge), IsOk());
    EXPECT_THAT(solver.Present(challenge), IsOk());
    const absl::Status seen = solver.AwaitVisible({challenge}, [](absl::string_view) {});
    EXPECT_THAT(solver.CleanUp(challenge), IsOk());
    return seen;
  }

  ChallengeConfig::Propagation propagation_;
  testing::FakeDnsClient dns_;
  testing::FakeClock clock_;
};

TEST_F(DnsPersist01Test, SaysWhichRecordIsToBeMade) {
  dns_.Add(kServer, {.owner = "_validation-persist.example.com.", .data = "another-ca.example; accounturi=x"});
  const absl::Status missing = Look(/*wildcard=*/true);
  EXPECT_THAT(missing, HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr("_validation-persist.example.com."),
                                                                 HasSubstr("another-ca.example"))));
  EXPECT_THAT(FailureOf(missing).hint(),
              HasSubstr("_validation-persist.example.com. IN TXT \"ca.example; accounturi=https://ca.example/acct/1; "
                        "policy=wildcard\""));
  dns_.Add(kServer, {.owner = "_validation-persist.example.com.",
                     .data = "ca.example; accounturi=https://ca.example/acct/1; policy=wildcard"});
  EXPECT_THAT(Look(true), IsOk());
  EXPECT_THAT(Look(false), IsOk());
}

TEST_F(DnsPersist01Test, AServerThatRefusesSaysNothingOfTheRecord) {
  propagation_.resolvers = {"192.0.2.98:53", kServer};
  dns_.SetRcode("192.0.2.98:53", 5);
  dns_.Add(kServer, {.owner = "_validation-persist.example.com.",
                     .data = "ca.example; accounturi=https://ca.example/acct/1; policy=wildcard"});
  EXPECT_THAT(Look(true), IsOk());
  propagation_.resolvers = {"192.0.2.98:53"};
  EXPECT_THAT(Look(true), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("192.0.2.98:53 answered REFUSED")));
}

TEST_F(DnsPersist01Test, TheLookCanBeLeftOut) {
  propagation_.skip = true;
  EXPECT_THAT(Look(true), IsOk());
}

TEST_F(DnsPersist01Test, SilentServersAreNamed) {
  propagation_.resolvers = {"192.0.2.99:53"};
  EXPECT_THAT(Look(true), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("192.0.2.99:53")));
}

}  // namespace
}  // namespace certcast::controller
