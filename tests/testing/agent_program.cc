#include "tests/testing/agent_program.h"

#include <filesystem>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.pb.h"
#include "common/identity/names.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr char kAgent[] = "node/certcast-node";
constexpr char kFleetId[] = "0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11";
constexpr absl::Duration kPlenty = absl::Seconds(30);

absl::Status CallWell(controller::Link& link, const v1::Command& command, absl::Time deadline) {
  ASSIGN_OR_RETURN(const v1::Report report, link.Call(command, deadline - absl::Now(), nullptr));
  if (report.install_result().outcome() == v1::Outcome::INSTALLED) return absl::OkStatus();
  return absl::InternalError(report.DebugString());
}

int64_t KibibytesOf(absl::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  int64_t result = 0;
  return words.size() > 1 && absl::SimpleAtoi(words[1], &result) ? result : -1;
}

}  // namespace

AgentProgram::AgentProgram()
    : fleet_(kFleetId),
      controller_(ca_.Issue({.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(kFleetId)}})),
      other_node_(ca_.Issue({.dns_names = {NodeDnsName("web-02")}, .uris = {NodeUri(kFleetId, "web-02")}})),
      old_(public_ca_.Issue({.dns_names = {"*.example.com"}})),
      service_(old_.fullchain_pem, old_.key_pem.ExposeSecret()) {
}

absl::Status AgentProgram::Start(rlim_t descriptors) {
  RETURN_IF_ERROR(WriteConfig());
  RETURN_IF_ERROR(Run({"csr"}, ""));
  RETURN_IF_ERROR(Run({"accept"}, Sign()));
  ASSIGN_OR_RETURN(agent_,
                   Program::Start({.argv = {kAgent, "--config", config_, "run"}, .output = log_, .error = log_}));
  const rlimit limit{.rlim_cur = descriptors, .rlim_max = descriptors};
  if (prlimit(agent_->pid(), RLIMIT_NOFILE, &limit, nullptr) != 0) return absl::ErrnoToStatus(errno, "prlimit");
  RETURN_IF_ERROR(
      WaitUntil("the agent listens", kPlenty, [this] { return absl::StrContains(ReadFile(log_), " as web-01"); }));
  const std::string log = ReadFile(log_);
  const size_t at = log.find("listening on ") + 13;
  address_ = log.substr(at, log.find(' ', at) - at);
  transport_.emplace(controller::LinkIdentity{.fleet_id = kFleetId,
                                              .chain_pem = controller_.fullchain_pem,
                                              .private_key_pem = Secret(controller_.key_pem.ExposeSecret()),
                                              .fleet_ca_pem = ca_.root_pem()});
  return absl::OkStatus();
}

absl::Status AgentProgram::WriteConfig() {
  const std::string tls = directory_.path() + "/tls/";
  std::filesystem::create_directory(tls);
  return WriteFile(config_, absl::StrCat("name: web-01\nlisten: 127.0.0.1:0\nstate: ", directory_.path(),
                                         R"(/state
allow_names: ["*.example.com"]
services:
  - name: web
    certificate: wildcard
    files:
      - {path: )",
                                         tls, R"(fullchain.pem, content: fullchain}
      - {path: )",
                                         tls, R"(key.pem, content: private_key}
    check: ["true"]
    reload: ["true"]
    probes:
      - tls: {address: ")",
                                         service_.address(), R"(", server_name: www.example.com, timeout: 5s}
)"));
}

absl::Status AgentProgram::Run(const std::vector<std::string>& arguments, const std::string& input) {
  ProcessRequest request{.argv = {kAgent, "--config", config_}};
  request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
  request.input = input;
  request.timeout = kPlenty;
  ASSIGN_OR_RETURN(const ProcessResult result, ProcessRunner::Real().Run(request));
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(arguments[0], " exited with ", result.exit_code));
}

// As `certcast nodes sign` does.
std::string AgentProgram::Sign() {
  const PrivateKey key = *PrivateKey::FromPem(ReadFile(directory_.path() + "/state/identity/key.pem"));
  return fleet_.Identity(ca_, "web-01", key);
}

absl::StatusOr<std::unique_ptr<controller::Link>> AgentProgram::Open(absl::Duration timeout) {
  return transport_->Open({.name = "web-01", .address = address_}, timeout);
}

absl::Status AgentProgram::InstallNext(absl::Duration timeout) {
  ++generation_;
  const IssuedCertificate issued = public_ca_.Issue({.dns_names = {"*.example.com"}});
  service_.Serve(issued.fullchain_pem, issued.key_pem.ExposeSecret());
  const absl::Time deadline = absl::Now() + timeout;
  ASSIGN_OR_RETURN(const auto link, Open(timeout));
  v1::Command install;
  install.set_id(absl::StrCat("install-", generation_));
  *install.mutable_install()->mutable_bundle() = fleet_.Bundle(issued, "wildcard", generation_, absl::Now());
  install.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
  RETURN_IF_ERROR(CallWell(*link, install, deadline));
  v1::Command confirm;
  confirm.set_id(absl::StrCat("confirm-", generation_));
  confirm.mutable_confirm()->set_certificate("wildcard");
  confirm.mutable_confirm()->set_generation(generation_);
  confirm.mutable_confirm()->set_leaf_sha256(issued.certificate.sha256());
  return CallWell(*link, confirm, deadline);
}

AgentProgram::Held AgentProgram::Look() const {
  Held held;
  for (absl::string_view line : absl::StrSplit(ReadFile(absl::StrCat("/proc/", agent_->pid(), "/status")), '\n')) {
    if (absl::StartsWith(line, "VmRSS:")) held.memory = KibibytesOf(line);
    if (absl::StartsWith(line, "VmHWM:")) held.most_memory = KibibytesOf(line);
  }
  const std::filesystem::directory_iterator descriptors(absl::StrCat("/proc/", agent_->pid(), "/fd"));
  held.descriptors = static_cast<int>(std::distance(begin(descriptors), end(descriptors)));
  return held;
}

}  // namespace certcast::testing
