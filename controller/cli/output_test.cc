#include <algorithm>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/issued.h"
#include "controller/cli/operator.h"
#include "controller/cli/plan.h"
#include "controller/cli/progress.h"
#include "controller/cli/table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

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

TEST(ProgressViewTest, PlainLinesAreFewForALargeWave) {
  std::ostringstream err;
  {
    ProgressView view(err, /*terminal=*/false, 80);
    for (int done = 0; done <= 10000; ++done) view.Show(Wave(3, 10000, done, 0, 64));
  }
  const std::string text = err.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_THAT(text, HasSubstr("wildcard: wave 3/3: 10000/10000"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(ProgressViewTest, ATerminalGetsOneLineAWaveThatFitsItsWidth) {
  std::ostringstream err;
  {
    ProgressView view(err, /*terminal=*/true, 72);
    Progress progress = Wave(2, 10, 3, 1, 2);
    progress.add_slowest("a-node-with-quite-a-long-name");
    progress.add_slowest("another-node-with-a-long-name");
    view.Show(progress);
    view.Show(Wave(2, 10, 9, 1, 0));
  }
  const std::string text = err.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const std::string first = text.substr(1, text.find("\x1b[K") - 1);
  EXPECT_LT(first.size(), 72u);
  EXPECT_THAT(first, HasSubstr("[#########...............] 3/10, 1 failed"));
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
