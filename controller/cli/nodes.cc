#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/cli/nodes_upgrade.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

int ListNodes(Session& session, const std::string& name) {
  v1::ListNodesRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::ListNodesResponse response;
  if (grpc::Status status = session.controller.ListNodes(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (session.options.json()) {
    session.out << ToJson(response);
    return kDone;
  }
  Table table({"NODE", "ADDRESS", "LABELS", "CERTIFICATES", "IDENTITY UNTIL", "LAST SEEN"});
  for (const auto& node : response.nodes()) {
    table.AddRow({node.name(), node.address(), absl::StrJoin(node.labels(), ",", absl::PairFormatter("=")),
                  absl::StrJoin(node.certificates(), ","),
                  node.enrolled() ? ShowTime(node.identity_not_after())
                  : node.hosted() ? "by login"
                                  : "not enrolled",
                  ShowTime(node.last_seen())});
  }
  table.Print(session.out);
  return kDone;
}

absl::StatusOr<std::string> ReadCsr() {
  constexpr size_t kLimit = 16 * 1024;
  std::string csr;
  for (std::istreambuf_iterator<char> it(std::cin), end; it != end && csr.size() <= kLimit; ++it) csr.push_back(*it);
  if (csr.size() > kLimit) return FailInput("the CSR on standard input is larger than 16 KiB");
  if (csr.empty()) {
    return FailInput("there is no CSR on standard input",
                     "pipe it in: ssh web-01 certcast-node csr | certcast nodes sign web-01 > identity.pem");
  }
  return csr;
}

int SignNode(Session& session, const std::string& name) {
  absl::StatusOr<std::string> csr = ReadCsr();
  if (!csr.ok()) return ReportError(session.err, csr.status());
  v1::SignNodeRequest request;
  request.set_name(name);
  request.set_csr_pem(*csr);
  grpc::ClientContext context;
  v1::SignNodeResponse response;
  if (grpc::Status status = session.controller.SignNode(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    session.out << response.identity_pem();
    session.err << "signed " << response.name() << ", valid until " << ShowTime(response.not_after()) << "\n";
  }
  return kDone;
}

}  // namespace

void AddNodes(CLI::App& app, Verb& chosen) {
  auto name = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("nodes", "The fleet: addresses, labels, identities");
  verb->add_option("NAME", *name, "One node; all when none is given");
  verb->callback([&chosen, verb, name] {
    if (verb->get_subcommands().empty()) chosen = [name](Session& session) { return ListNodes(session, *name); };
  });

  auto signed_name = std::make_shared<std::string>();
  CLI::App* sign = verb->add_subcommand("sign", "Sign a node's CSR from standard input; prints its identity");
  sign->add_option("NAME", *signed_name, "The node's name in the configuration")->required();
  sign->footer(
      "Joins a node over a channel that is trusted already:\n"
      "  ssh web-01 certcast-node csr | certcast nodes sign web-01 | ssh web-01 certcast-node accept\n"
      "The identity (certificate, fleet CA, manifest key) holds no secret; the node's key never leaves it.");
  sign->callback(
      [&chosen, signed_name] { chosen = [signed_name](Session& session) { return SignNode(session, *signed_name); }; });

  AddNodesUpgrade(*verb, chosen);
}

}  // namespace certcast::controller::cli
