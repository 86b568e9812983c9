// dns-01 by RFC 2136: a real BIND that takes updates signed with TSIG, and that Pebble asks.
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/bind.h"
#include "tests/testing/pebble_fixture.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::Bind;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kPlenty = absl::Seconds(20);
constexpr char kName[] = "_acme-challenge.demo.test.";

class DnsUpdateTest : public testing::PebbleFixture {
 protected:
  // BIND ends last: it takes all other programs with it.
  void TearDown() override { pebble_.reset(); }

  void Start(const std::vector<testing::BindZone>& zones) {
    auto bind = Bind::Start(directory_.path(), zones);
    ASSERT_THAT(bind, IsOk());
    bind_ = *std::move(bind);
    ASSERT_NO_FATAL_FAILURE(StartPebble({.dns_server = bind_->address()}));
    Rfc2136Server update;
    update.server = bind_->address();
    update.tsig.emplace();
    update.tsig->name = Bind::kKeyName;
    update.tsig->secret = {SecretReference::Kind::kFile, bind_->key_file()};
    update.timeout = kPlenty;
    certificate_.challenge->writer = update;
    certificate_.challenge->follow_cname = true;
    certificate_.challenge->propagation = {.resolvers = {bind_->address()}, .timeout = kPlenty};
  }

  Rfc2136Server& update() { return std::get<Rfc2136Server>(certificate_.challenge->writer); }

  Rehearsal Rehearse() {
    auto rehearsal = MakeIssuer().Rehearse(certificate_, /*epoch=*/0, [](absl::string_view) {});
    EXPECT_THAT(rehearsal, IsOk());
    return rehearsal.ok() ? *std::move(rehearsal) : Rehearsal();
  }

  std::vector<std::string> TxtAt(const std::string& name) {
    return testing::PebbleFixture::TxtAt(bind_->address(), name);
  }

  std::unique_ptr<Bind> bind_;
};

TEST_F(DnsUpdateTest, AWildcardAndItsApexAreTwoValuesAtOneName) {
  ASSERT_NO_FATAL_FAILURE(Start({{.name = "demo.test", .records = {"_acme-challenge TXT somebody-elses"}}}));
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk()) << pebble_->Log() << bind_->Log();
  EXPECT_THAT(generation->dns_names(), UnorderedElementsAre("*.demo.test", "demo.test"));
  // Deleted by value.
  EXPECT_THAT(TxtAt(kName), UnorderedElementsAre("somebody-elses"));
  EXPECT_FALSE(OrderRecords(store_).Get("wildcard")->has_value());
  // Added, added, deleted, deleted.
  EXPECT_THAT(bind_->Log(), AllOf(HasSubstr("adding an RR at '_acme-challenge.demo.test' TXT"),
                                  HasSubstr("deleting an RR at _acme-challenge.demo.test TXT")));
}

TEST_F(DnsUpdateTest, ACnameLeadsToAnotherZone) {
  ASSERT_NO_FATAL_FAILURE(
      Start({{.name = "demo.test", .records = {"_acme-challenge CNAME demo.acme.test."}, .takes_updates = false},
             {.name = "acme.test", .records = {}}}));
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log() << bind_->Log();
  EXPECT_THAT(progress_, ::testing::Contains("writing the TXT record demo.acme.test."));
  EXPECT_THAT(TxtAt("demo.acme.test."), IsEmpty());
}

TEST_F(DnsUpdateTest, SeveralNamesEachInItsZone) {
  ASSERT_NO_FATAL_FAILURE(Start({{.name = "demo.test", .records = {}}, {.name = "sub.demo.test", .records = {}}}));
  certificate_.domains = {"demo.test", "www.demo.test", "a.b.sub.demo.test"};
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log() << bind_->Log();
  for (const std::string name : {kName, "_acme-challenge.www.demo.test.", "_acme-challenge.a.b.sub.demo.test."}) {
    EXPECT_THAT(TxtAt(name), IsEmpty()) << name;
  }
}

TEST_F(DnsUpdateTest, ARehearsalWritesSeesAndDeletes) {
  ASSERT_NO_FATAL_FAILURE(Start({{.name = "demo.test", .records = {}}}));
  const Rehearsal rehearsal = Rehearse();
  EXPECT_THAT(rehearsal.presented, IsOk());
  EXPECT_THAT(rehearsal.removed, IsOk());
  EXPECT_THAT(rehearsal.places, ::testing::ElementsAre("TXT record _acme-challenge.demo.test., 2 values,"));
  EXPECT_THAT(bind_->Log(), HasSubstr("adding an RR at '_acme-challenge.demo.test' TXT"));
  EXPECT_THAT(TxtAt(kName), IsEmpty());
  EXPECT_FALSE(OrderRecords(store_).Get("wildcard")->has_value());
}

TEST_F(DnsUpdateTest, SaysWhatIsWrongWithAKeyOrAZone) {
  ASSERT_NO_FATAL_FAILURE(Start({{.name = "demo.test", .records = {}},
                                 {.name = "fixed.test", .records = {}, .takes_updates = false},
                                 {.name = "other.test", .records = {}}}));
  const Rfc2136Server good = update();
  struct Case {
    const char* what;
    std::function<void()> change;
    const char* message;
    const char* hint;
  };
  const std::string other = directory_.path() + "/other.key";
  ASSERT_THAT(testing::WriteFile(other, "b3RoZXIgYnl0ZXMsIDMyIGJ5dGVzIGxvbmcsIGZvciA=\n"), IsOk());
  const std::string broken = directory_.path() + "/broken.key";
  ASSERT_THAT(testing::WriteFile(broken, "not base64!\n"), IsOk());
  const Case cases[] = {
      {"another secret", [&] { update().tsig->secret.name = other; }, "is not signed with the key",
       "does it have this key under this name"},
      {"another algorithm", [&] { update().tsig->algorithm = "hmac-sha512"; }, "is not signed with the key",
       "does it have this key under this name"},
      {"an unknown key", [&] { update().tsig->name = "nobody."; }, "is not signed with the key",
       "does it have this key under this name"},
      {"no key", [&] { update().tsig.reset(); }, "REFUSED", "update policy"},
      {"a key that may not", [&] { update().tsig->name = Bind::kPowerlessKeyName; }, "REFUSED", "update policy"},
      {"a zone that takes none", [&] { certificate_.domains = {"fixed.test"}; }, "REFUSED", "update policy"},
      {"another zone's name", [&] { update().zone = "other.test."; }, "NOTZONE", "challenge.rfc2136.zone"},
      {"a zone that is not there", [&] { update().zone = "nowhere.test."; }, "NOTAUTH", "primary"},
      {"a name in no zone", [&] { certificate_.domains = {"elsewhere.test"}; }, "", ""},
      {"a secret that is none", [&] { update().tsig->secret.name = broken; }, "can't be signed", "base64"},
      {"a secret that is missing", [&] { update().tsig->secret.name = "/no/such.key"; },
       "challenge.rfc2136.tsig.secret", ""},
  };
  for (const Case& test : cases) {
    update() = good;
    certificate_.domains = {"demo.test"};
    test.change();
    const Rehearsal rehearsal = Rehearse();
    EXPECT_THAT(rehearsal.presented, HasReason(Reason::CHALLENGE_FAILED, HasSubstr(test.message))) << test.what;
    EXPECT_THAT(FailureOf(rehearsal.presented).hint(), HasSubstr(test.hint)) << test.what;
    EXPECT_THAT(std::string(rehearsal.presented.message()), Not(HasSubstr("b3RoZXIg"))) << test.what;
  }
  EXPECT_THAT(TxtAt(kName), IsEmpty());
}

TEST_F(DnsUpdateTest, AServerThatDoesNotAnswerIsWaitedForAndNamed) {
  ASSERT_NO_FATAL_FAILURE(Start({{.name = "demo.test", .records = {}}}));
  update().zone = "demo.test.";
  update().timeout = absl::Milliseconds(300);
  certificate_.challenge->follow_cname = false;
  bind_->Freeze();
  const Rehearsal silent = Rehearse();
  bind_->Thaw();
  update().timeout = kPlenty;
  EXPECT_THAT(silent.presented, HasReason(Reason::CHALLENGE_FAILED, HasSubstr(bind_->address())));
  // What may have arrived is taken away by the next one.
  EXPECT_TRUE(OrderRecords(store_).Get("wildcard")->has_value());
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
  EXPECT_THAT(TxtAt(kName), IsEmpty());
  EXPECT_FALSE(OrderRecords(store_).Get("wildcard")->has_value());
}

}  // namespace
}  // namespace certcast::controller
