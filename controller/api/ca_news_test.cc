// What a CA says of a certificate after it was issued, and what comes of it: renewal in the window that it suggests,
// other chains. And what is shown of all that. The controller is the real one; CA, nodes and time are in memory.
#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "controller/api/acme_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeAcmeServer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

constexpr absl::Duration kDay = absl::Hours(24);

class CaNewsTest : public ::testing::Test, public AcmeWorld {
 protected:
  // In days from the start.
  void Suggest(double from, double to) { ca.behaviour.renewal_window = {start_ + from * kDay, start_ + to * kDay}; }
  void GoTo(double day) { clock.Advance(start_ + day * kDay - clock.Now()); }
  // Whether it obtained something.
  bool Issued() {
    const auto applied = Apply();
    EXPECT_THAT(applied, IsOk());
    EXPECT_FALSE(applied->certificates(0).has_failure()) << applied->ShortDebugString();
    return applied->certificates(0).issued();
  }
  v1::ListCertificatesResponse::Certificate Shown() { return controller->ListCertificates({})->certificates(0); }
  absl::Time RenewAt() { return FromTimestamp(Shown().renew_at()); }
  size_t Asked() const { return ca.renewal_ids().size(); }

  const absl::Time start_ = clock.Now();
};

TEST_F(CaNewsTest, RenewsAtATimeWithinTheWindow) {
  Suggest(40, 42);
  ca.behaviour.renewal_explanation = "https://ca.test/why";
  ASSERT_TRUE(Issued());
  EXPECT_GE(RenewAt(), start_ + 40 * kDay);
  EXPECT_LT(RenewAt(), start_ + 42 * kDay);
  EXPECT_THAT(Shown().renew_reason(),
              AllOf(HasSubstr("due on "), HasSubstr("the CA suggests 2030-02-10 00:00 UTC to 2030-02-12 00:00 UTC"),
                    HasSubstr("https://ca.test/why")));
  EXPECT_EQ(FromTimestamp(Shown().window_start()), start_ + 40 * kDay);
  GoTo(39.9);
  EXPECT_FALSE(Issued());
  ca.MoveRenewal(start_ + 40 * kDay, start_ + 42 * kDay);
  Suggest(90, 92);
  GoTo(42);
  EXPECT_TRUE(Issued());
  EXPECT_EQ(ca.replaced().back(), ca.renewal_ids().front());
}

TEST_F(CaNewsTest, TheTimeThatWasPickedStays) {
  Suggest(40, 42);
  ASSERT_TRUE(Issued());
  const absl::Time picked = RenewAt();
  for (int day = 1; day < 30; ++day) {
    GoTo(day);
    EXPECT_FALSE(Issued());
    EXPECT_EQ(RenewAt(), picked);
  }
  EXPECT_GE(Asked(), 29u);
}

TEST_F(CaNewsTest, AWindowThatIsMovedToNowIsFollowedAtTheNextCheck) {
  Suggest(60, 62);
  ASSERT_TRUE(Issued());
  GoTo(10);
  // The CA will revoke it in a few days.
  ca.MoveRenewal(start_ + 8 * kDay, start_ + 9 * kDay);
  EXPECT_GE(RenewAt(), start_ + 60 * kDay) << "nobody is asked to show it";
  v1::ApplyRequest plan;
  plan.set_dry_run(true);
  EXPECT_FALSE(controller->Apply(plan, OnProgressHere(), stop)->certificates(0).issued()) << "nor to plan";
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_TRUE(applied->certificates(0).issued());
  EXPECT_THAT(applied->certificates(0).renew_reason(), HasSubstr("due since 2030-01-09"));
  EXPECT_GE(RenewAt(), start_ + 60 * kDay) << "that is about the new one";
  EXPECT_FALSE(Issued());
}

// The CA will revoke what nodes serve, before they may be given the next one.
TEST_F(CaNewsTest, AWindowThatOpensAfterTheCaWantsItRenewedIsTooLate) {
  Suggest(60, 62);
  ASSERT_TRUE(Issued());
  Configure("all", R"({waves: ["1", "100%"], windows: {time_zone: UTC, days: [tue], start: "06:00", end: "08:00"}})");
  GoTo(10);
  ca.MoveRenewal(start_ + 8 * kDay, start_ + 9 * kDay);
  const std::string late =
      "its window opens Tue 2030-01-15 06:00 UTC (UTC), and the CA wants what node web-1 serves to have been renewed "
      "by "
      "2030-01-10 00:00 UTC";
  v1::ApplyRequest plan;
  plan.set_dry_run(true);
  // Also once the CA is asked about the next one.
  for (int i = 0; i < 3; ++i) {
    GoTo(10 + i);
    const auto applied = Apply();
    ASSERT_THAT(applied, IsOk());
    EXPECT_EQ(applied->certificates(0).generation(), 2u);
    EXPECT_EQ(applied->certificates(0).failure().detail(), late);
    EXPECT_EQ(applied->rollouts_size(), 0);
    const auto planned = controller->Apply(plan, OnProgressHere(), stop);
    ASSERT_THAT(planned, IsOk());
    EXPECT_EQ(planned->certificates(0).failure().detail(), late);
  }
  plan.set_dry_run(false);
  plan.set_now(true);
  const auto done = controller->Apply(plan, OnProgressHere(), stop);
  ASSERT_THAT(done, IsOk());
  EXPECT_FALSE(done->certificates(0).has_failure());
  EXPECT_EQ(Status().converged(), 3);
}

TEST_F(CaNewsTest, WhatIsPutOffTooLongIsNotFollowed) {
  Suggest(85, 89);
  ASSERT_TRUE(Issued());
  // 9/10 of 90 days and an hour.
  EXPECT_NEAR(absl::ToDoubleHours(RenewAt() - start_), 81 * 24, 2);
  EXPECT_THAT(Shown().renew_reason(), HasSubstr("9/10 of its lifetime, though the CA suggests"));
}

TEST_F(CaNewsTest, ItsOwnScheduleCountsWhereThatIsConfigured) {
  certificate_lines = "    renewal: {ari: false, before_expiry: 15d}\n";
  Configure();
  Suggest(40, 42);
  ASSERT_TRUE(Issued());
  EXPECT_THAT(Shown().renew_reason(), HasSubstr("15 days before expiry"));
  GoTo(41);
  EXPECT_FALSE(Issued());
  GoTo(75);
  EXPECT_TRUE(Issued());
}

TEST_F(CaNewsTest, AWindowThatEndsBeforeItBeginsIsNotFollowed) {
  Suggest(42, 40);
  ASSERT_TRUE(Issued());
  EXPECT_THAT(Shown().renew_reason(),
              AllOf(HasSubstr("2/3 of its lifetime"), HasSubstr("the window that it suggests ends before it begins")));
  GoTo(45);
  EXPECT_FALSE(Issued());
}

TEST_F(CaNewsTest, TheCaIsAskedAsOftenAsItWants) {
  Suggest(60, 62);
  for (const auto& [header, wait] :
       std::vector<std::pair<std::string, absl::Duration>>{{"", absl::Hours(6)},
                                                           {"0", absl::Minutes(1)},
                                                           {"3600", absl::Hours(1)},
                                                           {"864000", absl::Hours(24)},
                                                           {"Tue, 01 Jan 2030 12:00:00 GMT", absl::Hours(12)},
                                                           {"soon", absl::Hours(6)}}) {
    AcmeWorld world;
    world.ca.behaviour.renewal_window = ca.behaviour.renewal_window;
    world.ca.behaviour.renewal_retry_after = header;
    ASSERT_THAT(world.Apply(), IsOk());
    const absl::Time issued = start_;
    const size_t asked = world.ca.renewal_ids().size();
    world.clock.Advance(issued + wait - absl::Seconds(1) - world.clock.Now());
    ASSERT_THAT(world.Apply(), IsOk());
    EXPECT_EQ(world.ca.renewal_ids().size(), asked) << header;
    world.clock.Advance(absl::Minutes(2));
    ASSERT_THAT(world.Apply(), IsOk());
    EXPECT_EQ(world.ca.renewal_ids().size(), asked + 1) << header;
  }
}

TEST_F(CaNewsTest, ACaThatIsDownHoldsNothingUp) {
  Suggest(60, 62);
  ASSERT_TRUE(Issued());
  const absl::Time picked = RenewAt();
  GoTo(1.1);
  for (int i = 0; i < 20; ++i) ca.AnswerOnce("directory", {.status = 500});
  const absl::Duration slept = clock.slept();
  EXPECT_FALSE(Issued());
  EXPECT_LT(clock.slept() - slept, absl::Seconds(10));
  EXPECT_EQ(RenewAt(), picked);
  EXPECT_THAT(Shown().renew_reason(), HasSubstr("what the CA suggests is not known: reading the ACME directory"));
  // Not again before six hours are over.
  const int exchanges = http.exchanges();
  EXPECT_FALSE(Issued());
  EXPECT_EQ(http.exchanges(), exchanges);
}

TEST_F(CaNewsTest, ASecondRunAsksNobody) {
  ASSERT_TRUE(Issued());
  const int exchanges = http.exchanges();
  EXPECT_FALSE(Issued());
  EXPECT_EQ(http.exchanges(), exchanges);
}

// --- Other chains for the same leaf.

TEST_F(CaNewsTest, AChainThatTheCaReplacesIsRolledOutLikeAnyOtherGeneration) {
  ASSERT_TRUE(Issued());
  ca.behaviour.prefers_alternate = true;
  GoTo(0.9);
  EXPECT_FALSE(Issued()) << "it is looked at once a day";
  GoTo(1.1);
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_TRUE(applied->certificates(0).issued());
  EXPECT_THAT(applied->certificates(0).renew_reason(), HasSubstr("another chain for the same certificate"));
  ASSERT_THAT(applied->rollouts(), SizeIs(1));
  EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(applied->rollouts(0).generation(), 2);
  ASSERT_THAT(Generations(), SizeIs(2));
  EXPECT_EQ(Leaf(1), Leaf(2));
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_EQ(Status().converged(), 3);
}

TEST_F(CaNewsTest, AChainThatTheOperatorChoosesIsTakenAtOnce) {
  ca.behaviour.offers_alternate = true;
  ASSERT_TRUE(Issued());
  certificate_lines = "    preferred_chain: {issuer: Other Root}\n";
  Configure();
  EXPECT_TRUE(Issued());
  EXPECT_EQ(ParseChainPem(Generations().back().fullchain_pem())->back().issuer_name(), "Other Root");
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_FALSE(Issued());
}

TEST_F(CaNewsTest, AWrongIntermediateReachesNoNode) {
  ASSERT_TRUE(Issued());
  ca.behaviour.wrong_intermediate = true;
  GoTo(1.1);
  EXPECT_FALSE(Issued());
  EXPECT_THAT(Texts(), HasSubstr("the CA's chains for it could not be looked at"));
  EXPECT_THAT(Generations(), SizeIs(1));
}

// --- Orders that are not finished.

TEST_F(CaNewsTest, AnOrderThatWasAskedForByHandIsFinishedByTheNextApply) {
  ASSERT_TRUE(Issued());
  ca.behaviour.processing_looks = 1000;
  v1::IssueRequest request;
  request.set_certificate("wildcard");
  request.set_force_renewal(true);
  const auto waiting = controller->Issue(request, OnProgressHere());
  ASSERT_THAT(waiting, IsOk());
  EXPECT_EQ(waiting->certificates(0).failure().reason(), Reason::ORDER_PENDING);
  v1::ApplyRequest dry_run;
  dry_run.set_dry_run(true);
  const auto planned = controller->Apply(dry_run, OnProgressHere(), stop);
  ASSERT_THAT(planned, IsOk());
  EXPECT_TRUE(planned->certificates(0).issued());
  EXPECT_THAT(planned->certificates(0).renew_reason(), HasSubstr("its order of 2030-01-01"));
  ca.behaviour.processing_looks = 0;
  while (ca.orders() == 2 && Generations().size() == 1) ASSERT_THAT(Apply(), IsOk());
  EXPECT_EQ(ca.orders(), 2);
  EXPECT_THAT(Generations(), SizeIs(2));
  EXPECT_FALSE(Issued());
}

TEST_F(CaNewsTest, AnOrderThatIsGivenUpIsNotGoneOnWith) {
  ASSERT_TRUE(Issued());
  ca.behaviour.processing_looks = 1000;
  v1::IssueRequest request;
  request.set_certificate("wildcard");
  request.set_force_renewal(true);
  ASSERT_THAT(controller->Issue(request, OnProgressHere()), IsOk());
  request.set_force_renewal(false);
  request.set_abandon_order(true);
  for (int i = 0; i < 2; ++i) {
    const auto given_up = controller->Issue(request, OnProgressHere());
    ASSERT_THAT(given_up, IsOk());
    EXPECT_FALSE(given_up->certificates(0).issued());
    EXPECT_FALSE(given_up->certificates(0).has_failure());
  }
  EXPECT_EQ(Shown().order_url(), "");
  EXPECT_FALSE(Issued());
  EXPECT_EQ(ca.orders(), 2);
  ca.behaviour.processing_looks = 0;
  request.set_force_renewal(true);
  EXPECT_TRUE(controller->Issue(request, OnProgressHere())->certificates(0).issued());
  EXPECT_EQ(ca.orders(), 3);
}

// --- What is shown.

TEST_F(CaNewsTest, AnOrderThatIsUnderWayAndARateLimitAreShown) {
  ca.behaviour.processing_looks = 1000;
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_THAT(Shown().order_url(), HasSubstr("https://ca.test/order/"));
  ca.behaviour.processing_looks = 0;
  ca.ForgetEverything();
  HttpResponse limited = FakeAcmeServer::ProblemAnswer(429, "rateLimited", "too many new orders");
  limited.headers.emplace_back("retry-after", "7200");
  ca.AnswerOnce("new-order", limited);
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_EQ(Shown().order_url(), "");
  ASSERT_THAT(Shown().failed(), SizeIs(1));
  EXPECT_EQ(Shown().failed(0).account(), "ca");
  EXPECT_TRUE(Shown().failed(0).told_by_ca());
  EXPECT_GT(FromTimestamp(Shown().failed(0).retry_at()), clock.Now() + absl::Minutes(110));
  EXPECT_THAT(Shown().failed(0).error(), HasSubstr("too many new orders"));
}

TEST_F(CaNewsTest, AContractThatEndsIsWarnedOf) {
  account_fields = ", ends: {contract: 2030-02-20, vetting: 2030-12-31}";
  Configure();
  EXPECT_THAT(Status().warnings(),
              Contains(AllOf(HasSubstr("the contract of the account ca ends on 2030-02-20, in 50 days"),
                             HasSubstr("renew it with the CA"))));
  processes.Otherwise([](const ProcessRequest&) { return testing::FakeProcessRunner::Exits(0); });
  const auto doctor = controller->Doctor();
  ASSERT_THAT(doctor, IsOk());
  int warnings = 0;
  for (const auto& check : doctor->checks()) {
    if (check.detail().find("ends on 2030-02-20") != std::string::npos) {
      EXPECT_EQ(check.result(), v1::DoctorResponse::Check::WARNING);
      ++warnings;
    }
    if (check.detail().find("ends on 2030-12-31") != std::string::npos) {
      EXPECT_EQ(check.result(), v1::DoctorResponse::Check::OK);
    }
  }
  EXPECT_EQ(warnings, 1);
  GoTo(60);
  EXPECT_THAT(Status().warnings(), Contains(HasSubstr("ended on 2030-02-20")));
}

// --- What doctor says of a CA, and of the way to it.

TEST_F(CaNewsTest, OfAResolverThatIsOfNoUseDoctorSaysWhereToNameAnother) {
  processes.Otherwise([](const ProcessRequest&) { return testing::FakeProcessRunner::Exits(0); });
  const auto check = [this] {
    const auto doctor = controller->Doctor();
    EXPECT_THAT(doctor, IsOk());
    v1::DoctorResponse::Check of_resolvers;
    for (const auto& found : doctor->checks()) {
      if (found.name() == "resolvers of wildcard") of_resolvers = found;
    }
    return of_resolvers;
  };
  EXPECT_EQ(check().result(), v1::DoctorResponse::Check::OK);
  dns.SetRcode(kDnsServer, 2);
  EXPECT_EQ(check().result(), v1::DoctorResponse::Check::WARNING);
  EXPECT_EQ(check().detail(), "192.0.2.53:53 answers SERVFAIL for example.com");
  dns.Forget(kDnsServer);
  EXPECT_EQ(check().result(), v1::DoctorResponse::Check::PROBLEM);
  EXPECT_THAT(check().detail(), HasSubstr("no answer from the DNS server 192.0.2.53:53"));
  EXPECT_THAT(check().hint(), HasSubstr("challenge.propagation.resolvers"));
}

TEST_F(CaNewsTest, AHookThatIsNotThereIsOneProblemOfARehearsal) {
  Configure();
  processes.Otherwise([](const ProcessRequest&) { return FailErrno(ENOENT, "running /hook"); });
  v1::DoctorRequest request;
  request.set_rehearse("wildcard");
  const auto doctor = controller->Doctor(request);
  ASSERT_THAT(doctor, IsOk());
  ASSERT_EQ(doctor->checks_size(), 1);
  EXPECT_EQ(doctor->checks(0).result(), v1::DoctorResponse::Check::PROBLEM);
  EXPECT_THAT(doctor->checks(0).detail(), HasSubstr("running /hook: No such file or directory"));
}

TEST_F(CaNewsTest, ARehearsalCallsNothingSeenThatNobodyLookedFor) {
  const auto rehearse = [this] {
    Configure();
    v1::DoctorRequest request;
    request.set_rehearse("wildcard");
    const auto doctor = controller->Doctor(request);
    EXPECT_THAT(doctor, IsOk());
    std::vector<std::string> said;
    for (const auto& check : doctor->checks()) said.push_back(check.detail());
    return said;
  };
  const std::string place = "TXT record _acme-challenge.example.com.";
  EXPECT_THAT(rehearse(), ElementsAre(place + ", 2 values, was written and seen", "all of it was removed again"));
  challenge = absl::StrReplaceAll(challenge, {{"resolvers:", "skip: true, resolvers:"}});
  EXPECT_THAT(rehearse(),
              ElementsAre(HasSubstr("whether a CA can see it was not looked at"), "all of it was removed again"));
  dns.Add(kDnsServer, {"_validation-persist.example.com.", DnsType::kTxt, "ca; accounturi=u; policy=wildcard"});
  challenge = absl::StrCat("{type: dns-persist-01, draft: \"00\", propagation: {resolvers: [\"", kDnsServer, "\"]}}");
  EXPECT_THAT(rehearse(), ElementsAre("standing TXT record _validation-persist.example.com. is there"));
}

TEST_F(CaNewsTest, WhatACaWouldRefuseIsSaidBeforeItIsAsked) {
  processes.Otherwise([](const ProcessRequest&) { return testing::FakeProcessRunner::Exits(0); });
  const auto problems = [&] {
    std::vector<std::string> found;
    const auto doctor = controller->Doctor();
    EXPECT_THAT(doctor, IsOk());
    for (const auto& check : doctor->checks()) {
      if (check.result() != v1::DoctorResponse::Check::PROBLEM) continue;
      if (check.name() == "account ca" || check.name() == "certificate wildcard") {
        found.push_back(absl::StrCat(check.name(), ": ", check.detail(), " / ", check.hint()));
      }
    }
    return found;
  };
  EXPECT_THAT(problems(), IsEmpty());
  ca.AnswerOnce("directory", {.status = 200, .body = "<html>a shop</html>"});
  EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr("it is none (newNonce, newAccount or newOrder is missing)"),
                                            HasSubstr("check accounts[].directory"))));
  ca.AnswerOnce("directory", {.status = 404});
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("check accounts[].directory, with its query string")));
  ca.behaviour.external_account_required = true;
  ca.behaviour.profiles = {{"classic", "the usual"}};
  certificate_lines = "    profile: tlsserver\n";
  Configure();
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("account ca: the account `ca`: the CA requires an external account"),
                                      AllOf(HasSubstr("certificate wildcard: the CA has no profile `tlsserver`"),
                                            HasSubstr("it offers: classic"))));
  EXPECT_EQ(ca.accounts(), 0);
}

// --- Accounts.

TEST_F(CaNewsTest, AccountsAreShownAndChanged) {
  const auto list = [&] { return controller->ListAccounts({})->accounts(0); };
  const auto change = [&](v1::ChangeAccountRequest::Action action) {
    v1::ChangeAccountRequest request;
    request.set_name("ca");
    request.set_action(action);
    return controller->ChangeAccount(request);
  };
  EXPECT_EQ(list().state(), v1::Account::NOT_REGISTERED);
  EXPECT_THAT(list().certificates(), SizeIs(1));
  EXPECT_FALSE(change(v1::ChangeAccountRequest::ROLL_KEY).ok()) << "there is none yet";
  EXPECT_TRUE(change(v1::ChangeAccountRequest::REGISTER)->changed());
  EXPECT_FALSE(change(v1::ChangeAccountRequest::REGISTER)->changed());
  EXPECT_EQ(list().state(), v1::Account::REGISTERED);
  const std::string thumbprint = list().key_thumbprint();
  EXPECT_THAT(thumbprint, SizeIs(43));
  EXPECT_TRUE(change(v1::ChangeAccountRequest::ROLL_KEY)->changed());
  EXPECT_NE(list().key_thumbprint(), thumbprint);
  EXPECT_FALSE(change(v1::ChangeAccountRequest::UPDATE_CONTACT)->changed());
  EXPECT_TRUE(change(v1::ChangeAccountRequest::DEACTIVATE)->changed());
  EXPECT_FALSE(change(v1::ChangeAccountRequest::DEACTIVATE)->changed());
  EXPECT_EQ(list().state(), v1::Account::DEACTIVATED);
  EXPECT_TRUE(Apply()->certificates(0).has_failure());
  EXPECT_TRUE(change(v1::ChangeAccountRequest::REGISTER)->changed());
  EXPECT_TRUE(Issued());
}

TEST_F(CaNewsTest, AnAccountWithAnOpenOrderIsNotChanged) {
  ca.behaviour.processing_looks = 1000;
  ASSERT_THAT(Apply(), IsOk());
  v1::ChangeAccountRequest request;
  request.set_name("ca");
  request.set_action(v1::ChangeAccountRequest::ROLL_KEY);
  EXPECT_THAT(controller->ChangeAccount(request),
              testing::HasReason(v1::Reason::BUSY, HasSubstr("an order of wildcard is open")));
}

TEST_F(CaNewsTest, AccountsOfAnEarlierConfigurationAreKept) {
  ASSERT_TRUE(Issued());
  ca.behaviour.directory_target = "/directory?orderId=2";
  Configure();
  const auto accounts = controller->ListAccounts({})->accounts();
  ASSERT_THAT(accounts, SizeIs(2));
  EXPECT_EQ(accounts[0].state(), v1::Account::NOT_REGISTERED);
  EXPECT_FALSE(accounts[1].configured());
  EXPECT_EQ(accounts[1].state(), v1::Account::REGISTERED);
}

}  // namespace
}  // namespace certcast::controller
