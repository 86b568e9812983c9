#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/process/process.h"
#include "tests/conformance/fault.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

namespace fs = std::filesystem;

using testing::ReadFile;
using testing::WriteFile;
using Deed = std::function<void(const Site&)>;

void Reload(const Site& site) {
  ProcessRequest reload;
  reload.argv = {site.service().folder() + "/reload"};
  reload.timeout = absl::Seconds(10);
  ProcessRunner::Real().Run(reload).IgnoreError();
}

// Something is done to the disk when the right node has come to that outcome.
Fault After(const std::string& outcome, const Deed& deed) {
  Fault fault;
  fault.on_report = [=](Passage& passage, v1::Report& report) {
    if (report.has_install_result() && absl::StartsWith(OutcomeIn(report), outcome)) deed(passage.site);
  };
  return fault;
}

// For the newcomer's or the blank's certificate only.
Fault AfterFirst(const std::string& outcome, const std::string& certificate, const Deed& deed) {
  Fault fault;
  fault.on_report = [=](Passage& passage, v1::Report& report) {
    if (report.install_result().certificate() == certificate && absl::StartsWith(OutcomeIn(report), outcome)) {
      deed(passage.site);
    }
  };
  return fault;
}

Fault Reconfigured(const std::string& from, const std::string& to) {
  Fault fault;
  fault.reconfigured = {from, to};
  return fault;
}

void Replace(const std::string& path, const std::string& contents, int mode) {
  (void)WriteFile(path, contents, mode);
}

void Renew(const std::string& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  fs::remove(link, error);
  fs::create_symlink(target, link, error);
}

// A link planted by another is made the agent's own, so that the right node follows it.
Fault FollowsAnyLink() {
  Fault fault;
  fault.on_command = [](Passage& passage, v1::Command& command) {
    if (!command.has_install()) return;
    std::string path = passage.site.service().FilePath("");
    path.pop_back();
    (void)!lchown(path.c_str(), geteuid(), getegid());
  };
  return fault;
}

Faults OfConfiguration() {
  Faults faults;
  faults["opens-a-mode"] = Reconfigured("mode: \"0644\"", "mode: \"0664\"");
  faults["links-for-copies"] = Reconfigured(", install: copy", "");
  faults["copies-for-links"] = Reconfigured("mode: \"0644\"", "mode: \"0644\", install: copy");
  faults["keeps-more"] = Reconfigured("keep: 2", "keep: 5");
  faults["keeps-less"] = Reconfigured("keep: 2", "keep: 1");
  faults["is-patient"] = Reconfigured("timeout: 3s}\n    reload", "timeout: 7s}\n    reload");
  return faults;
}

Faults OfDeeds() {
  Faults faults;
  faults["makes-new-links"] =
      After("INSTALLED", [](const Site& site) { Renew(site.service().FilePath("fullchain.pem")); });
  faults["leaves-temporaries"] =
      After("INSTALLED", [](const Site& site) { Replace(site.service().FilePath(".temporary"), "", 0600); });
  faults["opens-a-key"] = After("INSTALLED", [](const Site& site) {
    Replace(site.state() + "/copy-of-a-key", "-----BEGIN PRIVATE KEY-----", 0644);
  });
  faults["tells-the-key"] = After("INSTALLED", [](const Site& site) {
    const std::string path = site.service().folder() + "/seen";
    Replace(path, ReadFile(path) + "KEY=" + ReadFile(site.service().FilePath("privkey.pem")), 0644);
  });
  faults["stages-what-it-refuses"] = After("FAILED", [](const Site& site) {
    std::error_code error;
    fs::create_directories(absl::StrCat(site.state(), "/certificates/", kCertificate, "/generations/0.77"), error);
  });
  faults["reloads-what-it-refuses"] = After("FAILED", Reload);
  faults["reloads-what-is-there"] = After("UNCHANGED", Reload);
  faults["mixes"] = After("REVERTED", [](const Site& site) {
    Replace(site.service().FilePath("combined.pem"), "of another generation", 0400);
  });
  faults["mixes-when-cut"].on_end = [](Passage& passage) {
    Replace(passage.site.service().FilePath("combined.pem"), "of another generation", 0400);
  };
  faults["runs-what-it-is-told"].on_command = [](Passage& passage, v1::Command& command) {
    if (command.has_definition()) Replace(passage.site.folder() + "/run-by-the-node", "", 0600);
  };
  faults["checks-nothing"].on_command = [](Passage& passage, v1::Command& command) {
    if (command.has_install()) Replace(passage.site.service().folder() + "/check", "#!/bin/sh\n", 0755);
  };
  faults["follows-any-link"] = FollowsAnyLink();
  return faults;
}

Faults OfFirstInstalls() {
  Faults faults;
  faults["forgets-bytes"] = AfterFirst("REVERTED", kNewcomer, [](const Site& site) {
    const std::string path = site.newcomer().FilePath("combined.pem");
    Replace(path, ReadFile(path) + "\n", 0600);
  });
  faults["forgets-modes"] = AfterFirst("REVERTED", kNewcomer, [](const Site& site) {
    (void)chmod(site.newcomer().FilePath("fullchain.pem").c_str(), 0644);
  });
  faults["leaves-links"] = AfterFirst("REVERTED", kBlank, [](const Site& site) {
    std::error_code error;
    fs::create_symlink("/nowhere", site.blank().FilePath("fullchain.pem"), error);
  });
  faults["links-what-it-refuses"] = AfterFirst("FAILED", kNewcomer, [](const Site& site) {
    const std::string path = site.newcomer().FilePath("fullchain.pem");
    std::error_code error;
    fs::rename(path, site.folder() + "/taken-in", error);
    fs::create_symlink(site.folder() + "/taken-in", path, error);
  });
  return faults;
}

}  // namespace

Faults DiskFaults() {
  Faults faults = OfConfiguration();
  faults.merge(OfDeeds());
  faults.merge(OfFirstInstalls());
  return faults;
}

}  // namespace certcast::conformance
