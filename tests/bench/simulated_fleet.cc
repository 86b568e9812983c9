#include "tests/bench/simulated_fleet.h"

#include <openssl/objects.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.pb.h"
#include "common/identity/names.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "node/frontend/grpc_server.h"
#include "node/identity/identity.h"
#include "tests/bench/instant_engine.h"
#include "tests/bench/measure.h"

namespace certcast::bench {
namespace {

using testing::CertificateSpec;
using testing::IssuedCertificate;
using testing::TestCa;

// A machine's loopback has 16 million addresses: one each, so that ports never run out.
std::string AddressOf(int node) {
  return absl::StrCat("127.77.", node / 250, ".", node % 250 + 1);
}

std::string NameOf(int node) {
  return absl::StrCat("node-", node);
}

absl::Status WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return FailErrno(errno, "writing to a pipe");
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// Until the other end is closed.
std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size > 0) text.append(buffer, static_cast<size_t>(size));
    if (size == 0 || (size < 0 && errno != EINTR)) return text;
  }
}

// One of the child's nodes.
struct Node {
  InstantEngine engine;
  std::unique_ptr<node::GrpcServer> server;
};

absl::Status Serve(Node& node, int index, const TestCa& ca, const testing::TestFleet& fleet) {
  const std::string name = NameOf(index);
  IssuedCertificate issued = ca.Issue({.dns_names = {NodeDnsName(name)}, .uris = {NodeUri(fleet.id(), name)}});
  const node::Identity identity{.file = {issued.certificate, ca.certificate(), fleet.id(), name, fleet.key()},
                                .private_key_pem = std::move(issued.key_pem)};
  const node::GrpcServerOptions options{.listen = absl::StrCat(AddressOf(index), ":0"),
                                        .version = kVersion,
                                        .on_refused = [](absl::string_view) {},
                                        .on_handled = [] {}};
  ASSIGN_OR_RETURN(node.server, node::GrpcServer::Start(options, identity, node.engine));
  return absl::OkStatus();
}

// The child's life: serve, say where, a line each (or `!` and what went wrong), and end with the parent.
[[noreturn]] void LiveAsNodes(int first, int count, const TestCa& ca, const testing::TestFleet& fleet, int said,
                              int alive) {
  controller::SilenceGrpcLog();
  std::vector<Node> nodes(static_cast<size_t>(count));
  std::string addresses;
  absl::Status status;
  for (int i = 0; i < count && status.ok(); ++i) {
    Node& node = nodes[static_cast<size_t>(i)];
    status = Serve(node, first + i, ca, fleet);
    if (status.ok()) absl::StrAppend(&addresses, node.server->address(), "\n");
  }
  status = WriteAll(said, status.ok() ? addresses : absl::StrCat("!", status.message()));
  close(said);
  if (status.ok()) ReadAll(alive);
  _exit(0);
}

size_t InstallBytes(const v1::Bundle& bundle) {
  v1::Command command;
  command.set_id("wildcard-1-33m8z0/00000/install/0");
  command.set_epoch(1);
  *command.mutable_install()->mutable_bundle() = bundle;
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
  return command.ByteSizeLong();
}

}  // namespace

absl::Status RaiseDescriptorLimit(size_t descriptors) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= descriptors) return absl::OkStatus();
  limit.rlim_cur = descriptors;
  limit.rlim_max = std::max<rlim_t>(limit.rlim_max, descriptors);
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return absl::OkStatus();
  return FailInput(absl::StrCat("so many nodes need ", descriptors, " open files a process, the limit is lower"),
                   "take fewer --nodes or more --processes, or raise the limit: ulimit -n");
}

SimulatedFleet::SimulatedFleet()
    : fleet_("6d1c7f6e-3a5b-4f0e-9c53-0d5f6c1b7a10"),
      ca_(TestCa::Root("fleet CA")),
      issuing_ca_(TestCa::Root("public root").Intermediate("public intermediate")) {
}

absl::StatusOr<std::unique_ptr<SimulatedFleet>> SimulatedFleet::Start(int nodes, int processes) {
  auto fleet = std::unique_ptr<SimulatedFleet>(new SimulatedFleet());
  int ends[2];
  if (pipe(ends) != 0) return FailErrno(errno, "making a pipe");
  fleet->alive_read_ = Descriptor(ends[0]);
  fleet->alive_write_ = Descriptor(ends[1]);
  processes = std::clamp(processes, 1, nodes);
  std::vector<Descriptor> children;
  for (int i = 0; i < processes; ++i) {
    const int first = static_cast<int>(int64_t{nodes} * i / processes);
    const int end = static_cast<int>(int64_t{nodes} * (i + 1) / processes);
    ASSIGN_OR_RETURN(Descriptor child, fleet->Fork(first, end - first));
    children.push_back(std::move(child));
  }
  for (const Descriptor& child : children) RETURN_IF_ERROR(fleet->Collect(ReadAll(child.get())));
  if (fleet->nodes_.size() != static_cast<size_t>(nodes)) return absl::InternalError("a process of nodes ended early");
  return fleet;
}

absl::StatusOr<Descriptor> SimulatedFleet::Fork(int first, int count) {
  int ends[2];
  if (pipe(ends) != 0) return FailErrno(errno, "making a pipe");
  Descriptor read_end(ends[0]);
  const Descriptor write_end(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return FailErrno(errno, "starting a process");
  if (pid == 0) {
    alive_write_.Close();
    LiveAsNodes(first, count, ca_, fleet_, write_end.get(), alive_read_.get());
  }
  processes_.push_back(pid);
  return read_end;
}

absl::Status SimulatedFleet::Collect(absl::string_view said) {
  if (absl::StartsWith(said, "!"))
    return absl::InternalError(absl::StrCat("the nodes did not start: ", said.substr(1)));
  for (const absl::string_view address : absl::StrSplit(said, '\n', absl::SkipEmpty())) {
    nodes_.push_back({.name = NameOf(static_cast<int>(nodes_.size())), .address = std::string(address)});
  }
  return absl::OkStatus();
}

SimulatedFleet::~SimulatedFleet() {
  alive_write_.Close();
  for (const pid_t pid : processes_) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

controller::LinkIdentity SimulatedFleet::ControllerIdentity() const {
  IssuedCertificate issued = ca_.Issue({.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(fleet_.id())}});
  // With the CA's certificate after its own, as the keyring has it.
  return {.fleet_id = fleet_.id(),
          .chain_pem = absl::StrCat(issued.certificate.ToPem(), ca_.root_pem()),
          .private_key_pem = std::move(issued.key_pem),
          .fleet_ca_pem = ca_.root_pem()};
}

v1::Bundle SimulatedFleet::MakeBundle(uint64_t generation, size_t install_bytes) const {
  CertificateSpec spec{.dns_names = {"*.bench.test", "bench.test"}};
  const auto make = [&] { return fleet_.Bundle(issuing_ca_.Issue(spec), kCertificate, generation, absl::Now()); };
  v1::Bundle bundle = make();
  const size_t size = InstallBytes(bundle);
  if (size >= install_bytes) return bundle;
  // Base64 with line ends makes 65 of 48.
  const size_t padding = (install_bytes - size) * 48 / 65;
  spec.extensions.emplace_back(NID_netscape_comment, std::string(padding, 'x'));
  return make();
}

absl::Duration SimulatedFleet::Cpu() const {
  absl::Duration sum;
  for (const pid_t pid : processes_) sum += CpuOf(pid);
  return sum;
}

}  // namespace certcast::bench
