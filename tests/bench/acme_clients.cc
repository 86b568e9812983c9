#include "tests/bench/acme_clients.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "tests/bench/comparison.h"

namespace certcast::bench {
namespace {

using testing::WriteFile;
using Commands = absl::StatusOr<std::vector<MeasuredCommand>>;

constexpr char kCertcast[] = "controller/certcast";
constexpr char kName[] = "www.bench.test";
constexpr char kContact[] = "ops@bench.test";
constexpr char kSystemRoots[] = "/etc/ssl/certs/ca-certificates.crt";

MeasuredCommand Command(const std::string& home, std::vector<std::string> argv) {
  MeasuredCommand command;
  command.argv = std::move(argv);
  command.log = home + "/log";
  command.longest = absl::Minutes(2);
  return command;
}

MeasuredCommand Certcast(const std::string& home, std::vector<std::string> arguments) {
  std::vector<std::string> argv = {std::filesystem::absolute(kCertcast).string(), "--config", home + "/certcast.yaml"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return Command(home, std::move(argv));
}

absl::Status WriteCertcastConfig(const AcmeSite& site, const std::string& home) {
  return WriteFile(home + "/certcast.yaml", absl::Substitute(R"(state: state
master_key: {file: master.key}
accounts:
  - {name: ca, directory: "$0", ca_file: $1, contact: ["mailto:$2"], terms_of_service_agreed: true}
certificates:
  - {name: www, account: ca, domains: [$3], challenge: {type: http-01, solver: webroot, webroot: {path: $4}}}
)",
                                                             site.pebble().directory_url(), site.pebble().ca_file(),
                                                             kContact, kName, site.webroot()));
}

Commands CertcastWithInit(const AcmeSite& site, const std::string& home) {
  RETURN_IF_ERROR(WriteCertcastConfig(site, home));
  return std::vector<MeasuredCommand>{Certcast(home, {"init"}), Certcast(home, {"issue", "www"})};
}

Commands CertcastIssue(const AcmeSite& site, const std::string& home) {
  RETURN_IF_ERROR(WriteCertcastConfig(site, home));
  ASSIGN_OR_RETURN(const Measured made, RunMeasured(Certcast(home, {"init"}), absl::ZeroDuration()));
  if (made.exit_code != 0) return absl::InternalError(absl::StrCat("certcast init: ", LastOf(home + "/log")));
  return std::vector<MeasuredCommand>{Certcast(home, {"issue", "www"})};
}

Commands Certbot(const AcmeSite& site, const std::string& home) {
  MeasuredCommand command = Command(home, {"certbot",
                                           "certonly",
                                           "--non-interactive",
                                           "--agree-tos",
                                           "--email",
                                           kContact,
                                           "--server",
                                           site.pebble().directory_url(),
                                           "--webroot",
                                           "--webroot-path",
                                           site.webroot(),
                                           "--domain",
                                           kName,
                                           "--key-type",
                                           "ecdsa",
                                           "--elliptic-curve",
                                           "secp256r1",
                                           "--config-dir",
                                           home,
                                           "--work-dir",
                                           home,
                                           "--logs-dir",
                                           home});
  command.environment = {{"REQUESTS_CA_BUNDLE", site.pebble().ca_file()}};
  return std::vector<MeasuredCommand>{std::move(command)};
}

Commands Lego(const AcmeSite& site, const std::string& home) {
  MeasuredCommand command = Command(
      home, {"lego", "--accept-tos", "--email", kContact, "--server", site.pebble().directory_url(), "--path", home,
             "--domains", kName, "--http", "--http.webroot", site.webroot(), "--key-type", "ec256", "run"});
  command.environment = {{"LEGO_CA_CERTIFICATES", site.pebble().ca_file()}};
  return std::vector<MeasuredCommand>{std::move(command)};
}

// Its own commands after `unshare`, for which the machine's roots are Pebble's: it has no option for that.
MeasuredCommand Uacme(const AcmeSite& site, const std::string& home, std::vector<std::string> arguments) {
  std::vector<std::string> argv = {"unshare",
                                   "--mount",
                                   "sh",
                                   "-c",
                                   absl::StrCat("mount --bind \"$0\" ", kSystemRoots, " && exec uacme \"$@\""),
                                   site.pebble().ca_file(),
                                   "--yes",
                                   "--acme-url",
                                   site.pebble().directory_url(),
                                   "--confdir",
                                   home,
                                   "--type",
                                   "EC"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return Command(home, std::move(argv));
}

Commands UacmeCommands(const AcmeSite& site, const std::string& home) {
  const std::string hook = home + "/hook";
  RETURN_IF_ERROR(WriteFile(hook,
                            absl::Substitute(R"(#!/bin/sh
set -eu
[ "$$2" = http-01 ] || exit 1
case "$$1" in
begin) printf %s "$$5" >$0/.well-known/acme-challenge/"$$4" ;;
done | failed) rm -f $0/.well-known/acme-challenge/"$$4" ;;
esac
)",
                                             site.webroot()),
                            0700));
  return std::vector<MeasuredCommand>{Uacme(site, home, {"new", kContact}),
                                      Uacme(site, home, {"--hook", hook, "issue", kName})};
}

Commands Dehydrated(const AcmeSite& site, const std::string& home) {
  const std::string config = home + "/config";
  RETURN_IF_ERROR(WriteFile(config, absl::Substitute(R"(CA=$0
CURL_OPTS="--cacert $1"
BASEDIR=$2
WELLKNOWN=$3/.well-known/acme-challenge
CHALLENGETYPE=http-01
CONTACT_EMAIL=$4
KEY_ALGO=prime256v1
DEHYDRATED_USER=
DEHYDRATED_GROUP=
)",
                                                     site.pebble().directory_url(), site.pebble().ca_file(), home,
                                                     site.webroot(), kContact)));
  return std::vector<MeasuredCommand>{Command(home, {"dehydrated", "--config", config, "--register", "--accept-terms"}),
                                      Command(home, {"dehydrated", "--config", config, "--cron", "--domain", kName})};
}

}  // namespace

absl::StatusOr<std::unique_ptr<AcmeSite>> AcmeSite::Start(const std::string& folder) {
  std::unique_ptr<AcmeSite> site(new AcmeSite(folder));
  ASSIGN_OR_RETURN(site->pebble_, testing::Pebble::Start(folder, {}));
  std::error_code error;
  std::filesystem::create_directories(site->webroot() + "/.well-known/acme-challenge", error);
  if (error) return absl::InternalError(absl::StrCat("making ", site->webroot(), ": ", error.message()));
  ASSIGN_OR_RETURN(site->web_server_,
                   testing::Program::Start(
                       {.argv = {"busybox", "httpd", "-f", "-p", absl::StrCat("127.0.0.1:", site->pebble_->http_port()),
                                 "-h", site->webroot()}}));
  return site;
}

int AcmeSite::CountInLog(const std::string& text) const {
  const std::string log = pebble_->Log();
  int count = 0;
  for (size_t at = 0; (at = log.find(text, at)) != std::string::npos; at += text.size()) ++count;
  return count;
}

int AcmeSite::Requests() const {
  return CountInLog(" -> calling handler()");
}

int AcmeSite::Issued() const {
  return CountInLog("Issued certificate serial");
}

std::vector<AcmeClient> AcmeClients() {
  return {{"certcast", "", "", CertcastIssue},        {"certcast with init", "", "", CertcastWithInit},
          {"certbot", "certbot", "certbot", Certbot}, {"lego", "lego", "lego", Lego},
          {"uacme", "uacme", "uacme", UacmeCommands}, {"dehydrated", "dehydrated", "dehydrated", Dehydrated}};
}

}  // namespace certcast::bench
