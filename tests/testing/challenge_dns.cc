#include "tests/testing/challenge_dns.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

std::string Local(int port) {
  return absl::StrCat("127.0.0.1:", port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChallengeDns>> ChallengeDns::Start(const std::string& folder, int port) {
  std::unique_ptr<ChallengeDns> dns(new ChallengeDns(folder));
  if (port == 0) {
    ASSIGN_OR_RETURN(port, FreePort("127.0.0.1"));
  }
  ASSIGN_OR_RETURN(const int management_port, FreePort("127.0.0.1"));
  dns->address_ = Local(port);
  dns->management_url_ = absl::StrCat("http://", Local(management_port));
  RETURN_IF_ERROR(dns->WriteHook());
  const std::string log = LogOf(folder);
  ASSIGN_OR_RETURN(dns->program_, Program::Start({.argv = {"pebble-challtestsrv", "-dns01", dns->address_,
                                                           "-management", Local(management_port), "-http01", "",
                                                           "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""},
                                                  .output = log,
                                                  .error = log}));
  const auto answers = [&](const std::string& address) {
    return Prober::Real().Look({.what = TcpProbe{address}}, absl::Seconds(2)).ok;
  };
  const auto is_up = [&] { return answers(Local(management_port)) && answers(dns->address_); };
  RETURN_IF_ERROR(WaitUntil("pebble-challtestsrv answers or has ended", absl::Seconds(20),
                            [&] { return !dns->Running() || is_up(); }));
  if (!dns->Running()) return absl::UnavailableError(absl::StrCat("pebble-challtestsrv ended by itself: ", dns->Log()));
  return dns;
}

absl::Status ChallengeDns::WriteHook() const {
  const std::string script = absl::StrCat(
      "#!/bin/sh\n"
      "set -eu\n"
      "case \"$1\" in\n"
      "present) curl -sSf -d \"{\\\"host\\\":\\\"$2\\\",\\\"value\\\":\\\"$3\\\"}\" ",
      management_url_,
      "/set-txt ;;\n"
      "cleanup) curl -sSf -d \"{\\\"host\\\":\\\"$2\\\"}\" ",
      management_url_,
      "/clear-txt ;;\n"
      "esac\n");
  return WriteFile(hook(), script, 0700);
}

absl::Status ChallengeDns::SetAddresses(const std::string& host, const std::vector<std::string>& addresses) const {
  const nlohmann::json old = {{"host", host + "."}};
  const nlohmann::json body = {{"host", host + "."}, {"addresses", addresses}};
  for (const auto& [path, text] : {std::pair{"/clear-a", old.dump()}, std::pair{"/add-a", body.dump()}}) {
    ProcessRequest request;
    request.argv = {"curl", "-sSf", "-d", text, management_url_ + path};
    ASSIGN_OR_RETURN(const ProcessResult result, ProcessRunner::Real().Run(request));
    if (!result.ok()) return absl::InternalError(result.error);
  }
  return absl::OkStatus();
}

}  // namespace certcast::testing
