#include <algorithm>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/issued.h"
#include "controller/cli/operator.h"
#include "controller/cli/plan.h"
#include "controller/cli/progress.h"
#include "controller/cli/rollout_result.h"
#include "controller/cli/status_text.h"
#include "controller/cli/table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace certcast::controller::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Progress = v1::ApplyEvent::Progress;

Progress Wave(int wave, int size, int done, int failed, int in_flight) {
  Progress progress;
  progress.set_phase(Progress::WAVE);
  progress.set_certificate("wildcard");
  progress.set_rollout_id("wildcard-1");
  progress.set_wave(wave);
  progress.set_waves(3);
  progress.set_size(size);
  progress.set_done(done);
  progress.set_failed(failed);
  progress.set_in_flight(in_flight);
  return progress;
}

TEST(TableTest, AlignsColumnsAndLeavesNoTrailingSpace) {
  std::ostringstream out;
  Table table({"NODE", "STATE"});
  table.AddRow({"web-01", "CONVERGED"});
  table.AddRow({"w", ""});
  table.Print(out);
  EXPECT_EQ(out.str(), "NODE    STATE\nweb-01  CONVERGED\nw\n");
}

TEST(TableTest, PrintsControlCharactersOfANodeHarmlessly) {
  std::ostringstream out;
  Table table({"a\x1b[2Jb"});
  table.Print(out);
  EXPECT_EQ(out.str(), "a?[2Jb\n");
}

std::function<int()> Wide(int columns) {
  return [columns] { return columns; };
}

// A progress of what is counted beside waves.
Progress Asking(int size, int done, int failed) {
  Progress progress;
  progress.set_phase(Progress::ASKING);
  progress.set_size(size);
  progress.set_done(done);
  progress.set_failed(failed);
  return progress;
}

Progress Note(const std::string& text) {
  Progress progress;
  progress.set_phase(Progress::NOTE);
  progress.set_certificate("wildcard");
  progress.set_text(text);
  return progress;
}

// What a terminal shows in the end, line by line, of what was written to it.
std::vector<std::string> OnScreen(const std::string& written) {
  std::vector<std::string> lines = {""};
  for (size_t i = 0; i < written.size(); ++i) {
    if (written[i] == '\n') {
      lines.emplace_back();
    } else if (written[i] == '\r') {
      lines.back().clear();
    } else if (written[i] == '\x1b') {
      i = written.find_first_of("Km", i);
    } else {
      lines.back() += written[i];
    }
  }
  return lines;
}

int64_t Count(const std::string& text, char c) {
  return std::count(text.begin(), text.end(), c);
}

class ProgressViewTest : public ::testing::Test {
 protected:
  std::ostringstream err_;
  certcast::testing::FakeClock clock_;
};

TEST_F(ProgressViewTest, AShortWaveIsOnePlainLine) {
  {
    ProgressView view(err_, /*terminal=*/false, Wide(80), false, clock_);
    view.Show(Wave(1, 1, 0, 0, 0));
    view.Show(Wave(1, 1, 0, 0, 1));
    clock_.Advance(absl::Milliseconds(300));
    view.Show(Wave(1, 1, 1, 0, 0));
  }
  EXPECT_EQ(err_.str(), "wildcard: wave 1/3: 1/1, took 0.3s\n");
}

TEST_F(ProgressViewTest, PlainLinesOfALargeWaveAreTenSecondsApart) {
  {
    ProgressView view(err_, /*terminal=*/false, Wide(80), false, clock_);
    for (int done = 0; done < 10000; ++done) {
      view.Show(Wave(3, 10000, done, 0, 64));
      clock_.Advance(absl::Milliseconds(2));
    }
    view.Show(Wave(3, 10000, 10000, 0, 0));
  }
  EXPECT_EQ(err_.str(),
            "wildcard: wave 3/3: 5000/10000, 64 at work, 500/s, 10s left\n"
            "wildcard: wave 3/3: 10000/10000, took 20s (500/s)\n");
}

TEST_F(ProgressViewTest, AWaveThatIsStuckSaysSoOnceAMinute) {
  ProgressView view(err_, /*terminal=*/false, Wide(80), false, clock_);
  Progress progress = Wave(2, 10, 9, 0, 1);
  progress.add_slowest("web-7");
  progress.add_slowest_ms(500);
  view.Show(progress);
  for (int i = 0; i < 4 * 125; ++i) {
    clock_.Advance(absl::Milliseconds(250));
    view.Tick();
  }
  EXPECT_EQ(err_.str(),
            "wildcard: wave 2/3: 9/10, 1 at work, slowest web-7 10s\n"
            "wildcard: wave 2/3: 9/10, 1 at work, slowest web-7 1m10s\n");
}

TEST_F(ProgressViewTest, AWaveEndsWithTheFirstThatFailedByName) {
  Progress progress = Wave(2, 100, 70, 30, 0);
  for (int i = 10; i < 30; ++i) progress.add_failing("web-" + std::to_string(i));
  {
    ProgressView view(err_, /*terminal=*/false, Wide(80), false, clock_);
    view.Show(progress);
    view.Show(progress);
  }
  EXPECT_THAT(err_.str(), HasSubstr("wildcard: wave 2/3: 70/100, 30 failed"));
  EXPECT_THAT(err_.str(), HasSubstr("\n  failed or unreachable: web-10, web-11, "));
  EXPECT_THAT(err_.str(), HasSubstr(", web-29 and 10 more\n"));
  EXPECT_EQ(Count(err_.str(), '\n'), 2) << err_.str();
}

TEST_F(ProgressViewTest, ARolloutThatHaltsSaysHowFarTheWaveGot) {
  {
    ProgressView view(err_, /*terminal=*/false, Wide(80), false, clock_);
    view.Show(Wave(3, 10, 4, 1, 0));
    view.Show(Note("halted: 1 failed, max_failures is 0"));
    Progress reverting = Wave(3, 4, 0, 0, 4);
    reverting.set_phase(Progress::REVERTING);
    view.Show(reverting);
  }
  EXPECT_EQ(err_.str(),
            "wildcard: halted: 1 failed, max_failures is 0\n"
            "wildcard: wave 3/3: 4/10, 1 failed\n"
            "wildcard: reverting: 0/4, 4 at work\n");
}

TEST_F(ProgressViewTest, ATerminalGetsOneLineAWave) {
  {
    ProgressView view(err_, /*terminal=*/true, Wide(100), false, clock_);
    for (int done = 0; done < 1000; ++done) {
      view.Show(Wave(2, 1000, done, 0, 64));
      clock_.Advance(absl::Milliseconds(4));
    }
    view.Show(Wave(2, 1000, 1000, 0, 0));
    view.Show(Asking(2, 0, 0));
  }
  const std::vector<std::string> screen = OnScreen(err_.str());
  ASSERT_EQ(screen.size(), 3u) << err_.str();
  EXPECT_EQ(screen[0], "wildcard: wave 2/3 [########################] 1000/1000  took 4.0s");
  EXPECT_EQ(screen[1], "asking the nodes [........................] 0/2");
  // Not one for each of the thousand.
  EXPECT_LT(Count(err_.str(), '\r'), 50);
}

TEST_F(ProgressViewTest, ATerminalShowsPaceAndTheSlowestAsTimeGoesOn) {
  ProgressView view(err_, /*terminal=*/true, Wide(120), false, clock_);
  Progress progress = Wave(2, 100, 0, 0, 2);
  view.Show(progress);
  clock_.Advance(absl::Seconds(10));
  progress.set_done(50);
  progress.add_slowest("web-7");
  progress.add_slowest("web-9");
  progress.add_slowest_ms(4000);
  progress.add_slowest_ms(1000);
  view.Show(progress);
  EXPECT_EQ(OnScreen(err_.str()).back(),
            "wildcard: wave 2/3 [##############...............] 50/100, 2 at work  5.0/s, 10s left  slowest web-7 "
            "4.0s, web-9 1.0s");
  clock_.Advance(absl::Seconds(30));
  view.Tick();
  EXPECT_THAT(OnScreen(err_.str()).back(), HasSubstr("50/100, 2 at work  1.2/s, 40s left  slowest web-7 34s, web-9"));
}

TEST_F(ProgressViewTest, NothingIsWiderThanTheTerminalAndNoNumberIsCut) {
  for (int columns = 1; columns <= 200; ++columns) {
    std::ostringstream err;
    ProgressView view(err, /*terminal=*/true, Wide(columns), true, clock_);
    Progress progress = Wave(2, 10000, 4512, 12, 64);
    for (const char* name : {"a-node-with-quite-a-long-name", "another-node-with-a-long-name", "web-3"}) {
      progress.add_slowest(name);
      progress.add_slowest_ms(1000);
    }
    view.Show(progress);
    const std::string line = OnScreen(err.str()).back();
    EXPECT_LT(line.size(), std::max<size_t>(columns, 2)) << line;
    EXPECT_EQ(line.find(" 4512/10000, 12 failed, 64 at work") != std::string::npos, columns > 52) << line;
    EXPECT_EQ(line.find("slowest") != std::string::npos, line.find("long-name 1.0s") != std::string::npos) << line;
  }
}

TEST_F(ProgressViewTest, ANoteGoesAboveTheBar) {
  {
    ProgressView view(err_, /*terminal=*/true, Wide(80), false, clock_);
    view.Show(Wave(2, 10, 3, 0, 2));
    view.Show(Note("web-4: FAILED NO_SPACE"));
    view.Show(Wave(2, 10, 9, 1, 0));
  }
  const std::vector<std::string> screen = OnScreen(err_.str());
  ASSERT_EQ(screen.size(), 3u) << err_.str();
  EXPECT_EQ(screen[0], "wildcard: web-4: FAILED NO_SPACE");
  EXPECT_THAT(screen[1], HasSubstr("wildcard: wave 2/3 [###"));
  EXPECT_THAT(screen[1], HasSubstr("9/10, 1 failed"));
}

TEST_F(ProgressViewTest, ColoursAreForTerminalsThatWantThem) {
  for (const bool terminal : {false, true}) {
    for (const bool colour : {false, true}) {
      std::ostringstream err;
      { ProgressView(err, terminal, Wide(80), colour, clock_).Show(Wave(2, 10, 9, 1, 0)); }
      EXPECT_EQ(err.str().find("\x1b[31m") != std::string::npos, terminal && colour) << err.str();
    }
  }
}

TEST_F(ProgressViewTest, AWaveThatIsGoneOnWithCountsItsPaceFromThere) {
  ProgressView view(err_, /*terminal=*/false, Wide(80), false, clock_);
  view.Show(Wave(3, 1000, 900, 0, 1));
  clock_.Advance(absl::Seconds(10));
  view.Show(Wave(3, 1000, 950, 0, 1));
  EXPECT_EQ(err_.str(), "wildcard: wave 3/3: 950/1000, 1 at work, 5.0/s, 10s left\n");
}

TEST(LiveProgressTest, ShowsWhatItIsToldAndEnds) {
  std::ostringstream err;
  {
    LiveProgress live(err, /*terminal=*/false, Wide(80), false);
    live.Show(Wave(1, 1, 0, 1, 0));
    live.Line("stopping");
  }
  EXPECT_THAT(err.str(), HasSubstr("wildcard: wave 1/3: 0/1, 1 failed, took 0.0s\nstopping\n"));
}

TEST(RolloutResultTest, NamesTheFirstTwentyThatDidNotGetThereAndCountsTheRest) {
  v1::Rollout rollout;
  rollout.set_certificate("wildcard");
  for (int i = 999; i >= 100; --i) {
    v1::Rollout::Node& node = *rollout.add_nodes();
    node.set_name("web-" + std::to_string(i));
    node.set_outcome(i == 100 ? v1::Outcome::INSTALLED : v1::Outcome::UNREACHABLE);
  }
  std::ostringstream out;
  PrintRollout(out, rollout);
  EXPECT_EQ(Count(out.str(), '\n'), 22) << out.str();
  EXPECT_THAT(out.str(), HasSubstr("1 of 900 nodes serve"));
  EXPECT_THAT(out.str(), HasSubstr("\n  web-101: UNREACHABLE\n  web-102: UNREACHABLE\n"));
  EXPECT_THAT(out.str(), HasSubstr("\n  and 879 more: `-o json` has all\n"));
}

// A wave of thousands that was not begun must not hide the one node that failed.
TEST(RolloutResultTest, CountsThoseThatAHaltedRolloutDidNotGetToOrPutBack) {
  v1::Rollout rollout;
  rollout.set_certificate("wildcard");
  for (int i = 1000; i < 11'000; ++i) {
    v1::Rollout::Node& node = *rollout.add_nodes();
    node.set_name("web-" + std::to_string(i));
    node.set_outcome(i < 1100 ? v1::Outcome::REVERTED : v1::Outcome::SKIPPED);
    node.set_reason(Reason::ROLLOUT_HALTED);
    if (i >= 1100) node.set_detail("the rollout halted before its turn");
  }
  v1::Rollout::Node& gone = *rollout.mutable_nodes(5);
  gone.set_outcome(v1::Outcome::UNREACHABLE);
  gone.set_reason(Reason::NO_ROUTE);
  v1::Rollout::Node& failed = *rollout.mutable_nodes(77);
  failed.set_reason(Reason::PROBE_FAILED);
  failed.set_step("probe");
  failed.set_hint("look at it");
  std::ostringstream out;
  PrintRollout(out, rollout);
  EXPECT_THAT(out.str(), ::testing::EndsWith("\n  web-1077: REVERTED PROBE_FAILED in probe\n"
                                             "    hint: look at it\n"
                                             "  web-1005: UNREACHABLE NO_ROUTE\n"
                                             "  98 nodes: REVERTED ROLLOUT_HALTED\n"
                                             "  9900 nodes: SKIPPED ROLLOUT_HALTED: the rollout halted before its "
                                             "turn\n"));
}

class StatusTest : public ::testing::Test {
 protected:
  StatusTest() {
    v1::StatusResponse::Certificate& certificate = *status_.add_certificates();
    certificate.set_name("wildcard");
    certificate.set_generation(7);
    certificate.set_leaf_sha256("abc");
    certificate.set_converged(120);
    certificate.set_total(1000);
    certificate.set_rollout_id("wildcard-7-x");
    rollout_.set_id("wildcard-7-x");
    rollout_.set_generation(7);
    rollout_.set_wave(2);
    for (int i = 0; i < 3; ++i) rollout_.add_waves();
    rollout_.mutable_counts()->set_good(120);
    rollout_.mutable_counts()->set_failed(1);
    rollout_.mutable_counts()->set_missing(2);
    rollout_.mutable_counts()->set_open(877);
  }
  std::string Print(v1::Rollout::State state) {
    status_.mutable_certificates(0)->set_rollout_state(state);
    rollout_.set_state(state);
    std::ostringstream out;
    PrintStatus(out, status_, state == v1::Rollout::COMPLETED ? Rollouts() : Rollouts{{rollout_.id(), rollout_}},
                /*watched=*/false);
    return out.str();
  }

  v1::StatusResponse status_;
  v1::Rollout rollout_;
};

TEST_F(StatusTest, SaysHowFarARolloutIsAndHowToFollowIt) {
  EXPECT_EQ(Print(v1::Rollout::RUNNING),
            "wildcard: 120 of 1000 nodes serve generation 7, SHA-256 abc\n"
            "  expires -\n"
            "  rollout wildcard-7-x RUNNING, wave 2 of 3, 120 of 1000 nodes serve generation 7, 3 do not, 877 to do\n"
            "    hint: `certcast rollout status wildcard-7-x --watch` follows it; where nobody is at work on it, "
            "`certcast apply` goes on\n");
  EXPECT_THAT(Print(v1::Rollout::COMPLETED), HasSubstr("\n  expires -; last rollout wildcard-7-x COMPLETED\n"));
}

TEST_F(StatusTest, SaysWhyRenewalIsDueNow) {
  v1::StatusResponse::Certificate& certificate = *status_.mutable_certificates(0);
  certificate.mutable_renew_at()->set_seconds(1893456000);
  EXPECT_THAT(Print(v1::Rollout::COMPLETED), HasSubstr("expires -, renewal due 2030-01-01T00:00:00Z; last rollout"));
  certificate.set_renew_reason("revoked on 2030-01-01 00:00 UTC");
  EXPECT_THAT(Print(v1::Rollout::COMPLETED),
              HasSubstr("renewal due 2030-01-01T00:00:00Z (revoked on 2030-01-01 00:00 UTC); last rollout"));
  certificate.clear_renew_at();
  certificate.set_renew_reason("imported by hand; it was revoked");
  EXPECT_THAT(Print(v1::Rollout::COMPLETED), HasSubstr("expires - (imported by hand; it was revoked); last rollout"));
}

TEST_F(StatusTest, GivesNoHintWhereEveryNodeHasComeToItSince) {
  status_.mutable_certificates(0)->set_converged(1000);
  for (const v1::Rollout::State state : {v1::Rollout::HALTED, v1::Rollout::REVERTED, v1::Rollout::INCOMPLETE}) {
    EXPECT_THAT(Print(state), ::testing::EndsWith("877 to do\n    since then every node has come to generation 7\n"));
  }
  EXPECT_THAT(Print(v1::Rollout::PAUSED), HasSubstr("hint: "));
}

TEST_F(StatusTest, SaysThatWhatWasHaltedIsStillWantedAndHowToGoOn) {
  rollout_.set_because("web-1: FAILED");
  EXPECT_THAT(
      Print(v1::Rollout::HALTED),
      HasSubstr("\n    because: web-1: FAILED\n    hint: `certcast rollout status wildcard-7-x` says which nodes "
                "and why; `certcast apply` tries generation 7 again, which is still the wanted one\n"));
  status_.mutable_certificates(0)->set_generation(8);
  EXPECT_THAT(Print(v1::Rollout::HALTED), HasSubstr("`certcast apply` brings generation 8\n"));
  rollout_.mutable_paused_by()->set_user("alice");
  EXPECT_THAT(Print(v1::Rollout::PAUSED), HasSubstr("`certcast rollout resume wildcard-7-x` goes on\n"));
}

TEST_F(StatusTest, SaysWhenANodeThatDoesNotAnswerWasLastSeen) {
  v1::StatusResponse::Node& node = *status_.add_nodes();
  node.set_name("web-1");
  node.set_state(v1::StatusResponse::Node::UNREACHABLE);
  node.set_reason(Reason::NO_ROUTE);
  node.set_detail("refused");
  node.mutable_last_seen()->set_seconds(1893456000);
  EXPECT_THAT(Print(v1::Rollout::COMPLETED),
              HasSubstr("UNREACHABLE  -           -          -       -      NO_ROUTE: refused; last seen "
                        "2030-01-01T00:00:00Z\n"));
}

TEST(IssuedTest, AFailureIsReportedAndNotShownAsACertificate) {
  v1::ApplyResponse response;
  auto& certificate = *response.add_certificates();
  certificate.set_name("wildcard");
  certificate.mutable_failure()->set_detail("the CA says no");
  certificate.mutable_failure()->set_hint("ask it why");
  std::ostringstream out;
  std::ostringstream err;
  PrintCertificates(out, response.certificates(), /*future=*/false);
  EXPECT_EQ(ReportFailures(err, response.certificates()), kFailed);
  EXPECT_EQ(out.str(), "");
  EXPECT_EQ(err.str(), "certcast: wildcard: the CA says no\n  hint: ask it why\n");
}

TEST(IssuedTest, ACertificateThatWasNeverImportedIsMissingAndNotShownAsGenerationZero) {
  v1::ApplyResponse response;
  auto& certificate = *response.add_certificates();
  certificate.set_name("ev");
  certificate.set_renew_reason("not imported yet: use `certcast import`");
  std::ostringstream out;
  PrintCertificates(out, response.certificates(), /*future=*/false);
  EXPECT_EQ(out.str(), "ev: there is none yet (not imported yet: use `certcast import`)\n");
  EXPECT_TRUE(AnyMissing(response.certificates()));
  certificate.set_generation(1);
  EXPECT_FALSE(AnyMissing(response.certificates()));
}

TEST(LinesTest, EachIsPutBehindThePrefixAndEmptyOnesAreLeftOut) {
  std::ostringstream out;
  PrintLines(out, "  | ", "nginx: no\n\n\x1b[2Jtest failed\n");
  PrintLines(out, "  | ", "");
  EXPECT_EQ(out.str(), "  | nginx: no\n  | ?[2Jtest failed\n");
}

TEST(JsonTest, PrintsZeroFalseAndEmptyFieldsAndBareEnumNames) {
  v1::ApplyResponse response;
  response.add_rollouts()->add_nodes()->set_outcome(v1::Outcome::REVERTED);
  const std::string json = ToJson(response);
  EXPECT_THAT(json, HasSubstr("\"outcome\": \"REVERTED\""));
  EXPECT_THAT(json, HasSubstr("\"certificates\": []"));
  EXPECT_THAT(json, HasSubstr("\"servedSha256\": \"\""));
  EXPECT_THAT(json, HasSubstr("\"durationMs\": \"0\""));
}

v1::Rollout PlanOf(int nodes) {
  v1::Rollout plan;
  plan.set_certificate("wildcard");
  plan.set_generation(8);
  for (int size : {1, nodes - 1}) {
    v1::Rollout::Wave& wave = *plan.add_waves();
    wave.set_index(plan.waves_size());
    wave.set_size(size);
  }
  for (int i = 0; i < nodes; ++i) {
    v1::Rollout::Node& node = *plan.add_nodes();
    node.set_name(absl::StrCat("web-", i));
    node.set_wave(i == 0 ? 1 : 2);
    node.add_reloads("nginx");
  }
  return plan;
}

std::string Print(const v1::Rollout& plan) {
  std::ostringstream out;
  PrintPlan(out, plan);
  return out.str();
}

TEST(PlanTest, SaysWavesServicesAndTimes) {
  v1::Rollout plan = PlanOf(3);
  plan.mutable_nodes(1)->clear_reloads();
  plan.mutable_nodes(1)->add_restarts("slapd");
  plan.mutable_nodes(2)->clear_reloads();
  plan.mutable_nodes(2)->set_reason(Reason::NO_ROUTE);
  plan.mutable_nodes(2)->set_detail("web-2: connection refused\x1b[2J");
  plan.mutable_nodes(0)->add_obstacles("nginx: /etc/nginx/tls is not there");
  plan.set_window_opens("Mon 2026-11-23 22:00 CET (Europe/Berlin)");
  plan.set_estimated_ms(75'300);
  plan.set_estimated_from(12);
  EXPECT_EQ(Print(plan),
            "wildcard: would roll out generation 8 to 3 nodes in 2 waves\n"
            "  wave 1, 1 node: web-0\n"
            "  wave 2, 2 nodes: web-1 web-2\n"
            "  its window is closed and opens Mon 2026-11-23 22:00 CET (Europe/Berlin); --now does not wait\n"
            "  estimated time: 1m15s, from 12 earlier installs\n"
            "  would reload nginx on 1 node: web-0\n"
            "  would restart, which loses connections, slapd on 1 node: web-1\n"
            "  can't be reached now; what runs there is not known:\n"
            "    web-2: NO_ROUTE: web-2: connection refused?[2J\n"
            "  would refuse it:\n"
            "    web-0: nginx: /etc/nginx/tls is not there\n");
}

TEST(PlanTest, SaysWhatIsNotAsItWasInstalled) {
  v1::Rollout plan = PlanOf(2);
  plan.mutable_nodes(1)->set_detail("nginx: /etc/nginx/tls/privkey.pem: mode 0644, not 0600");
  EXPECT_THAT(Print(plan), HasSubstr("  is not as it was installed, and would be mended:\n"
                                     "    web-1: nginx: /etc/nginx/tls/privkey.pem: mode 0644, not 0600\n"));
}

TEST(PlanTest, StaysReadableAtTenThousandNodes) {
  v1::Rollout plan = PlanOf(10'000);
  for (v1::Rollout::Node& node : *plan.mutable_nodes()) node.set_reason(Reason::NO_ROUTE);
  const std::string text = Print(plan);
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 20);
  EXPECT_LT(text.size(), 2500u);
  EXPECT_THAT(text, HasSubstr("  wave 2, 9999 nodes: web-1 web-2 "));
  EXPECT_THAT(text, HasSubstr(" web-20 and 9979 more\n"));
  EXPECT_THAT(text, HasSubstr("    and 9990 more\n"));
  EXPECT_THAT(text, HasSubstr("estimated time: no history"));
}

TEST(PlanTest, OfARolloutThatIsGoneOnWithOnlyWhatIsLeftIsNamed) {
  v1::Rollout plan = PlanOf(3);
  plan.set_id("wildcard-8-abc");
  plan.set_state(v1::Rollout::WAITING_FOR_WINDOW);
  plan.mutable_nodes(0)->set_outcome(v1::Outcome::INSTALLED);
  plan.mutable_nodes(1)->set_outcome(v1::Outcome::UNREACHABLE);
  const std::string text = Print(plan);
  EXPECT_THAT(text, HasSubstr("would go on with rollout wildcard-8-abc of generation 8, which is WAITING_FOR_WINDOW: 1 "
                              "node left\n  wave 2, 1 node: web-2\n"));
  EXPECT_THAT(text, Not(HasSubstr("web-1")));
}

TEST(OperatorTest, HasANameAProcessAndATime) {
  const v1::Operator by = CurrentOperator();
  EXPECT_NE(by.user(), "");
  EXPECT_GT(by.pid(), 0);
  EXPECT_GT(by.at().seconds(), 0);
}

}  // namespace
}  // namespace certcast::controller::cli
