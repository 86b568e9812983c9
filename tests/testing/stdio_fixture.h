// A host without a configuration of its own, as over SSH: the shipped `certcast-node stdio` at the ends of two pipes, a
// service that it installs for, and the fleet that tells it to.
#ifndef CERTCAST_TESTS_TESTING_STDIO_FIXTURE_H_
#define CERTCAST_TESTS_TESTING_STDIO_FIXTURE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/file/descriptor.h"
#include "common/process/process.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::testing {

std::string Delimited(const google::protobuf::Message& message);

// A `certcast-node stdio` and what an SSH session would be: two pipes. Killed when it is still there at the end.
class StdioConnection {
 public:
  explicit StdioConnection(std::vector<std::string> arguments = {"stdio"});
  ~StdioConnection();
  StdioConnection(const StdioConnection&) = delete;
  StdioConnection& operator=(const StdioConnection&) = delete;

  pid_t pid() const { return pid_; }
  int reports() const { return reports_.get(); }

  // False when nobody reads it any more.
  bool Send(absl::string_view bytes);
  bool Send(const v1::Command& command) { return Send(Delimited(command)); }

  // So many bytes of what it says, fewer at its end.
  std::string Read(size_t size);
  // The next report; an empty one at the end.
  v1::Report Receive();
  // Through Hello and Progress.
  v1::Report Answer();
  v1::Report Ask(const v1::Command& command);
  // Whether it said that it begins this step.
  bool AwaitStep(const std::string& step);
  const std::vector<std::string>& steps() const { return steps_; }

  void EndInput() { commands_.Close(); }
  // Both directions at once, as when sshd is gone.
  void Cut();
  void Kill();
  // The exit code, once it has ended by itself.
  int AwaitEnd();

 private:
  pid_t pid_ = -1;
  Descriptor commands_;
  Descriptor reports_;
  bool preface_read_ = false;
  std::vector<std::string> steps_;
};

class StdioFixture : public ::testing::Test {
 protected:
  static constexpr absl::Duration kPlenty = absl::Seconds(30);
  static constexpr absl::Duration kLong = absl::Hours(1);

  StdioFixture();

  std::string PathOf(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }
  std::string state() const { return PathOf("state"); }
  void PutByHand();
  // For a node with its own configuration, and the same state and service; its path.
  std::string WriteNodeYaml() const;
  // As it was before the first contact.
  void StartAnew();

  v1::NodeDefinition Definition() const;
  // Of generation 1, signed now.
  v1::Command Install(absl::Duration confirm_timeout);
  v1::Command Confirm();
  v1::Command Describe();
  std::string NewId() { return absl::StrCat("c-", ++last_command_); }

  std::string InFiles() const { return LeafInFiles(PathOf("fullchain.pem"), PathOf("privkey.pem")); }
  std::string Served() const;
  std::string old_leaf() const { return old_.certificate.sha256(); }
  std::string new_leaf() const { return new_.certificate.sha256(); }
  void ExpectInForce(const std::string& leaf, const std::string& when) const;
  // A new connection says Confirm, and what the one before left is confirmed.
  void ExpectConfirmable(const std::string& when);
  // The same program, with these arguments.
  ProcessResult Run(std::vector<std::string> arguments) const;

  const TemporaryDirectory directory_;
  const TestFleet fleet_{"0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11"};
  const TestCa ca_ = TestCa::Root("public root").Intermediate("public CA");
  const IssuedCertificate old_ = ca_.Issue({.dns_names = {"*.example.com"}});
  const IssuedCertificate new_ = ca_.Issue({.dns_names = {"*.example.com"}});
  ReloadingTlsServer service_{PathOf("fullchain.pem"), PathOf("privkey.pem"), old_.fullchain_pem,
                              old_.key_pem.ExposeSecret()};
  int last_command_ = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_STDIO_FIXTURE_H_
