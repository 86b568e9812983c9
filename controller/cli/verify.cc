#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/cli/long_call.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"
#include "google/protobuf/util/time_util.h"

namespace certcast::controller::cli {
namespace {

// Up to so many lines all are shown; of more only those that are not as they should be.
constexpr int kMostLines = 100;

struct VerifyOptions {
  std::string certificate;
  std::string timeout;
};

std::string Address(const v1::VerifyResponse::Endpoint& endpoint) {
  return endpoint.ip_address().empty() ? endpoint.address()
                                       : absl::StrCat(endpoint.address(), " = ", endpoint.ip_address());
}

void PrintEndpoints(std::ostream& out, const v1::VerifyResponse& response) {
  const bool all = response.total() <= kMostLines;
  if (!all && response.converged() == response.total()) return;
  Table table({"NODE", "CERTIFICATE", "ADDRESS", "SERVER NAME", "EXPECTED", "SERVED", "OK", "DETAIL"});
  int left = kMostLines;
  for (const auto& endpoint : response.endpoints()) {
    if (!all && (endpoint.ok() || left-- <= 0)) continue;
    table.AddRow({endpoint.node(), endpoint.certificate(), Address(endpoint), endpoint.server_name(),
                  ShortFingerprint(endpoint.expected_sha256()), ShortFingerprint(endpoint.served_sha256()),
                  endpoint.ok() ? "yes" : "NO", endpoint.detail()});
  }
  out << "\n";
  table.Print(out);
  if (left < 0) out << "and " << -left << " more: `-o json` has all\n";
}

void PrintVerified(std::ostream& out, const v1::VerifyResponse& response) {
  if (response.endpoints().empty()) {
    out << "no node declares an endpoint; add `verify:` to the nodes in the configuration\n";
    return;
  }
  for (const auto& certificate : response.certificates()) {
    out << certificate.name() << ": " << certificate.converged() << " of " << certificate.total()
        << " endpoints serve ";
    if (certificate.generation() == 0) {
      out << "it: nothing was issued or imported yet\n";
    } else {
      out << "generation " << certificate.generation() << ", SHA-256 " << certificate.leaf_sha256() << "\n";
    }
  }
  PrintEndpoints(out, response);
}

int RunVerify(Session& session, const VerifyOptions& options) {
  v1::VerifyRequest request;
  request.set_certificate(options.certificate);
  if (!options.timeout.empty()) {
    absl::Duration timeout;
    if (!absl::ParseDuration(options.timeout, &timeout)) {
      return ReportError(session.err, FailInput(absl::StrCat("--timeout ", options.timeout, " is no duration"),
                                                "as in 5s, 500ms, 1m"));
    }
    *request.mutable_timeout() =
        google::protobuf::util::TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(timeout));
  }
  const absl::StatusOr<v1::VerifyResponse> answer = WatchCall<v1::VerifyEvent, v1::VerifyResponse>(
      session, [&](grpc::ClientContext* context) { return session.controller.Verify(context, request); });
  if (!answer.ok()) return ReportError(session.err, answer.status());
  const v1::VerifyResponse& response = *answer;
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintVerified(session.out, response);
  }
  if (!response.nodes_without_endpoint().empty()) {
    constexpr int kMostNames = 20;
    const auto& without = response.nodes_without_endpoint();
    const int shown = std::min(without.size(), kMostNames);
    session.err << "warning: " << without.size() << " nodes declare no endpoint, and were not looked at: "
                << absl::StrJoin(without.begin(), without.begin() + shown, " ");
    if (shown < without.size()) session.err << " and " << without.size() - shown << " more";
    session.err << "\n";
  }
  // Nothing is called done that was not seen.
  return response.converged() == response.total() && response.total() > 0 ? kDone : kNotConverged;
}

}  // namespace

void AddVerify(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* verb = app.add_subcommand("verify", "Handshake with every endpoint from here and compare fingerprints");
  verb->add_option("CERT", options->certificate, "One certificate; all when none is given");
  verb->add_option("--timeout", options->timeout, "Of one handshake, looking up its host name included [5s]");
  verb->footer(
      "Needs no agent, and waits for nobody: connects to each `verify:` address of each node as a stranger would, "
      "with\n"
      "each of its server names, after STARTTLS where it is asked for, and compares the certificate that is served "
      "with\n"
      "the wanted generation. A host name is looked at at every address that it has, IPv4 and IPv6, a line each.\n\n"
      "Exit codes: 0 when every endpoint serves it, 3 when not, or when no node declares one.");
  verb->callback([&chosen, options] { chosen = [options](Session& session) { return RunVerify(session, *options); }; });
}

}  // namespace certcast::controller::cli
