#include "controller/transport/clean_report.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::SizeIs;

TEST(CleanReportTest, TextsAtAnyDepthAreBoundedAndPrintable) {
  v1::Report report;
  report.set_command_id("command-1");
  v1::InstallResult& result = *report.mutable_install_result();
  result.set_installed_sha256(std::string(600'000, 'a'));
  result.add_reloaded("nginx\x1b[2J");
  v1::ProbeResult& probe = *result.add_probes();
  probe.set_probe("tls \x1b]0;owned\x07 127.0.0.1");
  probe.set_served_sha256(std::string(600'000, 'b'));
  result.mutable_failure()->set_stderr("first\nlast\x1b[1m");
  result.mutable_failure()->set_detail("one\ntwo");
  result.set_generation(7);

  CleanReport(report);

  EXPECT_EQ(report.command_id(), "command-1");
  EXPECT_THAT(result.installed_sha256(), SizeIs(1024));
  EXPECT_EQ(result.reloaded(0), "nginx [2J");
  EXPECT_EQ(probe.probe(), "tls  ]0;owned  127.0.0.1");
  EXPECT_THAT(probe.served_sha256(), SizeIs(1024));
  EXPECT_EQ(result.failure().stderr(), "first\nlast [1m");
  EXPECT_EQ(result.failure().detail(), "one two");
  EXPECT_EQ(result.generation(), 7u);
}

TEST(CleanReportTest, WhatIsAsItShouldBeStays) {
  v1::Report report;
  v1::Inventory& inventory = *report.mutable_inventory();
  inventory.set_node("web-1");
  inventory.add_services()->add_drift("/etc/nginx/privkey.pem: mode 0644, not 0600");
  const std::string before = report.SerializeAsString();
  CleanReport(report);
  EXPECT_EQ(report.SerializeAsString(), before);
}

}  // namespace
}  // namespace certcast::controller
