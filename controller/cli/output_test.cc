#include <sstream>
#include <string>

#include "controller/cli/issued.h"
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

}  // namespace
}  // namespace certcast::controller::cli
