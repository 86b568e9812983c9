// A small fleet on this machine, all of it real: Pebble, the controller program, and nodes with an nginx and an agent
// each. Everything ends with it.
//
//   Fleet fleet({.nodes = 3});
//   ASSERT_THAT(fleet.Start(), IsOk());
//   const CommandResult applied = fleet.controller().Json({"apply"});
//   EXPECT_EQ(fleet.node(0).nginx().Served(), Leaf(applied));
#ifndef CERTCAST_TESTS_TESTING_FLEET_H_
#define CERTCAST_TESTS_TESTING_FLEET_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/nginx.h"
#include "tests/testing/pebble.h"
#include "tests/testing/program.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {

struct FleetOptions {
  int nodes = 3;
  // Of the nodes' own probes.
  absl::Duration probe_timeout = absl::Seconds(10);
  // What is written in certcast.yaml. They may be changed later; WriteConfig then writes it anew.
  std::string rollout = R"({waves: ["1", "100%"], max_failures: 0, on_halt: revert})";
  std::string external_account;
  // Another CA than Pebble: its directory, and the root of its own TLS certificate.
  std::string directory_url;
  std::string directory_root;
  // Further lines of the certificate.
  std::string certificate_lines;
  // Empty: Pebble's.
  std::string hook;
  std::string hook_timeout = "30s";
  // `wildcard` is imported by hand: no account, no challenge.
  bool imported = false;
  PebbleOptions pebble;
  // http-01 on the nodes instead, for demo.test and www.demo.test: the first, third... by their agents, the others by a
  // web server that is there.
  bool http01 = false;
};

// A machine with a web server that still has a certificate from the days of scp, and an agent. Its certificate is for
// *.demo.test and demo.test.
class FleetNode {
 public:
  FleetNode(std::string name, std::string home) : name_(std::move(name)), home_(std::move(home)) {}

  const std::string& name() const { return name_; }
  const std::string& home() const { return home_; }
  Nginx& nginx() { return *nginx_; }
  // Where the agent listens.
  const std::string& agent_address() const { return agent_address_; }
  // What certcast.yaml gives the controller to look at; nginx's at first.
  std::string verify_address;
  // Where it answers HTTP. With http01.
  std::string http_address;
  // Of its web server on that port; empty: the agent listens there.
  std::string webroot;

  // Whether certcast.yaml has it at all.
  bool configured = true;

  // Listens when this returns.
  absl::Status StartAgent();
  // As a service manager does, and waits for it.
  void StopAgent() { agent_.reset(); }
  // As `kill -9` does.
  void KillAgent() { agent_->Kill(); }
  // Of all its starts.
  std::string AgentLog() const { return ReadFile(agent_log()); }
  CommandResult Agent(std::vector<std::string> arguments, absl::string_view input = "") const;

  // The shell lines that a reload consists of; kReload at first.
  absl::Status SetReload(absl::string_view lines) const;
  // Reload commands that were run so far.
  int Reloads() const;

 private:
  friend class Fleet;
  absl::Status Prepare(const std::string& host, absl::string_view old_chain, absl::string_view old_key,
                       absl::Duration probe_timeout);
  absl::Status PrepareHttp(const std::string& address, bool by_web_server);
  std::string agent_log() const { return home_ + "/agent.log"; }

  const std::string name_;
  const std::string home_;
  std::string agent_address_;
  std::unique_ptr<Nginx> nginx_;
  std::unique_ptr<Program> agent_;
  std::unique_ptr<Program> web_server_;
};

// Of SetReload: $0 is the script, which lies in the node's home.
extern const absl::string_view kReload;

class Fleet {
 public:
  explicit Fleet(FleetOptions options);

  // Everything up to `certcast apply`: servers, `certcast init`, and each node enrolled. Once.
  absl::Status Start();
  absl::Status WriteConfig() const;

  FleetOptions& options() { return options_; }
  Pebble& pebble() { return *pebble_; }
  // Orders that Pebble has made.
  int Orders() const;
  ControllerProgram& controller() { return controller_; }
  std::vector<FleetNode>& nodes() { return nodes_; }
  // By name. Ends the test program when there is none.
  FleetNode& node(absl::string_view name);
  // The folder in which all of it lies.
  const std::string& home() const { return directory_.path(); }

  // What each node's nginx serves, as a stranger sees it.
  std::vector<std::string> Served();
  std::vector<pid_t> Workers();

 private:
  absl::Status Enrol(FleetNode& node);

  TemporaryDirectory directory_;
  FleetOptions options_;
  ControllerProgram controller_;
  std::unique_ptr<Pebble> pebble_;
  std::vector<FleetNode> nodes_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FLEET_H_
