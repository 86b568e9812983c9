#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "common/link/preface.h"
#include "common/status/status.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "tests/conformance/connection.h"

namespace certcast::conformance {
namespace {

struct Child {
  pid_t pid = -1;
  Descriptor input;
  Descriptor output;
};

absl::StatusOr<Child> Start(std::vector<std::string> argv, const std::string& log) {
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0) return FailErrno(errno, "making a pipe");
  Descriptor read_end(in[0]);
  Child child{.input = Descriptor(in[1])};
  if (pipe2(out, O_CLOEXEC) != 0) return FailErrno(errno, "making a pipe");
  child.output = Descriptor(out[0]);
  const Descriptor write_end(out[1]);
  const Descriptor error(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!error.valid()) return FailErrno(errno, absl::StrCat("opening ", log));
  child.pid = fork();
  if (child.pid < 0) return FailErrno(errno, absl::StrCat("starting ", argv[0]));
  if (child.pid == 0) {
    signal(SIGPIPE, SIG_DFL);
    if (dup2(read_end.get(), 0) >= 0 && dup2(write_end.get(), 1) >= 0 && dup2(error.get(), 2) >= 0) {
      execvp(pointers[0], pointers.data());
    }
    _exit(127);
  }
  return child;
}

// Nothing of a login shell comes before it here.
bool SkipPreface(int fd) {
  for (const char expected : absl::string_view(kLinkPreface)) {
    char byte = 0;
    ssize_t count = 0;
    while ((count = read(fd, &byte, 1)) < 0 && errno == EINTR) {
    }
    if (count != 1 || byte != expected) return false;
  }
  return true;
}

class StdioConnection : public Connection {
 public:
  StdioConnection(Child child, std::optional<v1::NodeDefinition> definition)
      : child_(std::move(child)), definition_(std::move(definition)), reader_([this] { Read(); }) {}
  // Its program may go on for as long as it waits for Confirm.
  ~StdioConnection() override {
    child_.input.Close();
    reader_.join();
    while (waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  absl::Status Send(const v1::Command& command) override {
    v1::Command told = command;
    if (const auto definition = std::exchange(definition_, std::nullopt); definition && !told.has_definition()) {
      *told.mutable_definition() = *definition;
    }
    std::string bytes;
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::util::SerializeDelimitedToZeroCopyStream(told, &stream);
    }
    return SendBytes(bytes);
  }
  absl::Status SendBytes(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = write(child_.input.get(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return absl::UnavailableError("the node does not read any more");
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return absl::OkStatus();
  }

 private:
  void Read() {
    if (!SkipPreface(child_.output.get())) {
      inbox_.End(absl::UnavailableError("the node did not say `certcast-link 1` before anything else"));
      return;
    }
    google::protobuf::io::FileInputStream stream(child_.output.get());
    bool clean_end = false;
    for (v1::Report report; google::protobuf::util::ParseDelimitedFromZeroCopyStream(&report, &stream, &clean_end);
         report.Clear()) {
      inbox_.Add(report);
    }
    inbox_.End(absl::UnavailableError(clean_end ? "the node ended the link"
                                                : "the node ended the link in the middle of a message"));
  }

  Child child_;
  // Until it was sent.
  std::optional<v1::NodeDefinition> definition_;
  std::thread reader_;
};

class StdioTransport : public Transport {
 public:
  StdioTransport(std::vector<std::string> argv, std::string log, std::optional<v1::NodeDefinition> definition)
      : argv_(std::move(argv)), log_(std::move(log)), definition_(std::move(definition)) {}

  absl::StatusOr<std::unique_ptr<Connection>> Open() override { return Open(definition_); }
  absl::StatusOr<std::unique_ptr<Connection>> OpenAs(const Approach& approach) override {
    if (!approach.untold) return absl::UnimplementedError("over stdio the login is the trust");
    return Open(std::nullopt);
  }
  absl::StatusOr<std::vector<std::unique_ptr<Connection>>> OpenTogether(int, absl::Time) override {
    return absl::UnimplementedError("over stdio a program is one link");
  }
  absl::StatusOr<std::string> address() const override {
    return absl::UnimplementedError("over stdio nobody else can connect");
  }
  Caller controller() const override { return {}; }
  bool carries_several() const override { return false; }

 private:
  absl::StatusOr<std::unique_ptr<Connection>> Open(const std::optional<v1::NodeDefinition>& definition) {
    ASSIGN_OR_RETURN(Child child, Start(argv_, log_));
    return std::make_unique<StdioConnection>(std::move(child), definition);
  }

  const std::vector<std::string> argv_;
  const std::string log_;
  const std::optional<v1::NodeDefinition> definition_;
};

}  // namespace

std::unique_ptr<Transport> MakeStdioTransport(std::vector<std::string> argv, const std::string& log,
                                              std::optional<v1::NodeDefinition> definition) {
  return std::make_unique<StdioTransport>(std::move(argv), log, std::move(definition));
}

}  // namespace certcast::conformance
