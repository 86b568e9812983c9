// A node that breaks one promise: it passes everything on to a right one that speaks stdio, and spoils a thing on the
// way.
//
//   wrong_node FAULT SITE COMMAND...                     speaks stdio
//   wrong_node FAULT SITE --grpc HOST:PORT COMMAND...    speaks gRPC, to anybody, and without any bounds
#include <fcntl.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.grpc.pb.h"
#include "common/file/descriptor.h"
#include "common/link/preface.h"
#include "common/listen/listening_socket.h"
#include "common/probe/address.h"
#include "tests/conformance/fault.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

using google::protobuf::io::FileInputStream;
using google::protobuf::util::ParseDelimitedFromZeroCopyStream;
using google::protobuf::util::SerializeDelimitedToFileDescriptor;

// Who speaks to this.
struct Controller {
  // The next command; false: there is none any more. Of bytes that are no command: false, and `garbage`.
  std::function<bool(v1::Command&, bool& garbage)> listen;
  std::function<bool(const v1::Report&)> say;
  std::function<void()> hang_up;
};

// A right node, started for one link.
struct RightNode {
  pid_t pid = -1;
  int commands = -1;
  int reports = -1;
};

RightNode Start(const std::vector<std::string>& command) {
  int commands[2];
  int reports[2];
  if (pipe2(commands, O_CLOEXEC) != 0 || pipe2(reports, O_CLOEXEC) != 0) return {};
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(commands[0], STDIN_FILENO);
    dup2(reports[1], STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(commands[0]);
  close(reports[1]);
  return {pid, commands[1], reports[0]};
}

bool SkipPreface(int from) {
  for (const char expected : absl::string_view(kLinkPreface)) {
    char byte = 0;
    if (read(from, &byte, 1) != 1 || byte != expected) return false;
  }
  return true;
}

// One link, from its beginning to its end.
class Link {
 public:
  Link(const Fault& fault, const Site& site, const Controller& controller)
      : fault_(fault), passage_{site}, controller_(controller) {}

  // The right node's exit code.
  int Run(const std::vector<std::string>& command) {
    const RightNode node = Start(command);
    std::thread to_node([&] {
      PassCommands(node.commands);
      close(node.commands);
    });
    if (SkipPreface(node.reports)) PassReports(node.reports);
    int status = 0;
    waitpid(node.pid, &status, 0);
    if (fault_.on_end) fault_.on_end(passage_);
    controller_.hang_up();
    to_node.join();
    close(node.reports);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }

 private:
  void PassCommands(int to) {
    bool garbage = false;
    for (v1::Command command; controller_.listen(command, garbage); command.Clear()) {
      absl::MutexLock lock(&mutex_);
      ++unanswered_;
      if (fault_.on_command) fault_.on_command(passage_, command);
      if (!SerializeDelimitedToFileDescriptor(command, to)) return;
    }
    if (!garbage || !fault_.answers_garbage) return;
    v1::Report report;
    report.mutable_inventory();
    controller_.say(report);
  }

  void PassReports(int from) {
    FileInputStream stream(from);
    bool clean_end = false;
    for (v1::Report report; ParseDelimitedFromZeroCopyStream(&report, &stream, &clean_end); report.Clear()) {
      // So that what waits behind a command is here as well.
      if (fault_.swaps_answers) absl::SleepFor(absl::Milliseconds(100));
      absl::MutexLock lock(&mutex_);
      if (fault_.on_report) fault_.on_report(passage_, report);
      const bool is_answer = !report.has_hello() && !report.has_progress();
      if (is_answer) --unanswered_;
      if (fault_.swaps_answers && is_answer && unanswered_ > 0 && !held_back_.has_value()) {
        held_back_ = report;
        continue;
      }
      controller_.say(report);
      if (held_back_.has_value()) controller_.say(*std::exchange(held_back_, std::nullopt));
    }
  }

  const Fault& fault_;
  absl::Mutex mutex_;
  Passage passage_;
  int unanswered_ = 0;
  std::optional<v1::Report> held_back_;
  const Controller controller_;
};

int RunStdio(const Fault& fault, const Site& site, const std::vector<std::string>& command) {
  FileInputStream input(STDIN_FILENO);
  (void)!write(STDOUT_FILENO, kLinkPreface, sizeof(kLinkPreface) - 1);
  Link link(fault, site,
            {.listen =
                 [&](v1::Command& next, bool& garbage) {
                   bool clean_end = false;
                   const bool parsed = ParseDelimitedFromZeroCopyStream(&next, &input, &clean_end);
                   garbage = !parsed && !clean_end;
                   return parsed;
                 },
             .say = [](const v1::Report& report) { return SerializeDelimitedToFileDescriptor(report, STDOUT_FILENO); },
             // Its thread may still wait for what comes next.
             .hang_up = [] { close(STDOUT_FILENO), close(STDIN_FILENO), _exit(0); }});
  return link.Run(command);
}

class Service final : public v1::NodeLink::Service {
 public:
  Service(const Fault& fault, const Site& site, std::vector<std::string> command)
      : fault_(fault), site_(site), command_(std::move(command)) {}

  grpc::Status Link(grpc::ServerContext* context, grpc::ServerReaderWriter<v1::Report, v1::Command>* stream) override {
    conformance::Link link(fault_, site_,
                           {.listen = [&](v1::Command& next, bool&) { return stream->Read(&next); },
                            .say = [&](const v1::Report& report) { return stream->Write(report); },
                            .hang_up = [&] { context->TryCancel(); }});
    link.Run(command_);
    return grpc::Status::OK;
  }

 private:
  const Fault& fault_;
  const Site& site_;
  const std::vector<std::string> command_;
};

// Gives gRPC each connection with the credentials that fit how it begins.
class TwoTongues {
 public:
  TwoTongues(grpc::ServerBuilder& builder, const std::shared_ptr<grpc::ServerCredentials>& tls)
      : tls_(builder.experimental().AddExternalConnectionAcceptor(kFromDescriptor, tls)),
        plaintext_(
            builder.experimental().AddExternalConnectionAcceptor(kFromDescriptor, grpc::InsecureServerCredentials())) {}

  // For ever.
  void Accept(const Descriptor& listener) {
    for (pollfd item{.fd = listener.get(), .events = POLLIN}; poll(&item, 1, -1) > 0;) {
      NewConnection connection;
      connection.fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      pollfd spoken{.fd = connection.fd, .events = POLLIN};
      poll(&spoken, 1, kLongestSilenceMs);
      char first = 0;
      const bool is_tls = recv(connection.fd, &first, 1, MSG_PEEK) != 1 || first == kHandshakeRecord;
      (is_tls ? tls_ : plaintext_)->HandleNewConnection(&connection);
    }
  }

 private:
  using Acceptor = grpc::experimental::ExternalConnectionAcceptor;
  using NewConnection = Acceptor::NewConnectionParameters;
  static constexpr auto kFromDescriptor = grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD;
  static constexpr int kLongestSilenceMs = 1000;
  // Of TLS (RFC 8446, section 5.1).
  static constexpr char kHandshakeRecord = 22;

  const std::unique_ptr<Acceptor> tls_;
  const std::unique_ptr<Acceptor> plaintext_;
};

int RunGrpc(const std::string& address, const Fault& fault, const Site& site, const std::vector<std::string>& command) {
  const Caller identity = site.MakeNode(site.node());
  grpc::SslServerCredentialsOptions options(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_key_cert_pairs.push_back({identity.key_pem, identity.chain_pem});
  Service service(fault, site, command);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
  builder.RegisterService(&service);
  const auto credentials = grpc::SslServerCredentials(options);
  std::optional<TwoTongues> two_tongues;
  if (fault.speaks_plaintext) {
    two_tongues.emplace(builder, credentials);
  } else {
    builder.AddListeningPort(address, credentials);
  }
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto place = ParseHostPort(address);
  const auto listener = fault.speaks_plaintext && place.ok() ? ListenOn(*place) : Descriptor();
  if (server == nullptr || !listener.ok()) return 1;
  std::cout << "listens on " << address << std::endl;
  if (two_tongues.has_value()) two_tongues->Accept(*listener);
  server->Wait();
  return 0;
}

// The right node gets a configuration that is not the one that `prepare` wrote.
absl::Status Reconfigure(const Fault& fault, const Site& site, std::vector<std::string>& command) {
  if (fault.reconfigured.first.empty()) return absl::OkStatus();
  const std::string right = site.folder() + "/node.yaml";
  const std::string wrong = site.folder() + "/wrong-node.yaml";
  for (std::string& word : command) {
    if (word == right) word = wrong;
  }
  return testing::WriteFile(
      wrong, absl::StrReplaceAll(testing::ReadFile(right), {{fault.reconfigured.first, fault.reconfigured.second}}));
}

Faults AllFaults() {
  Faults faults = {{"none", {}}};
  for (Faults more : {MessageFaults(), BundleFaults(), ChallengeFaults(), DiskFaults()}) faults.merge(more);
  return faults;
}

int Main(std::vector<std::string> words) {
  signal(SIGPIPE, SIG_IGN);
  const Faults faults = AllFaults();
  if (words == std::vector<std::string>{"list"}) {
    for (const auto& [name, fault] : faults) std::cout << name << "\n";
    return 0;
  }
  const auto fault = words.size() < 3 ? faults.end() : faults.find(words[0]);
  const auto site = words.size() < 3 ? absl::InvalidArgumentError("too few words") : Site::Open(words[1]);
  if (fault == faults.end() || !site.ok()) {
    std::cerr << "usage: wrong_node FAULT SITE [--grpc HOST:PORT] COMMAND...\n" << site.status() << "\n";
    return 2;
  }
  words.erase(words.begin(), words.begin() + 2);
  std::string address;
  if (words[0] == "--grpc" && words.size() > 2) {
    address = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (!Reconfigure(fault->second, **site, words).ok()) return 1;
  return address.empty() ? RunStdio(fault->second, **site, words) : RunGrpc(address, fault->second, **site, words);
}

}  // namespace
}  // namespace certcast::conformance

int main(int argc, char** argv) {
  return certcast::conformance::Main(std::vector<std::string>(argv + 1, argv + argc));
}
