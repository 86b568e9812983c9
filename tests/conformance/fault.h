// Promises to be broken: what is done to the commands and reports that pass between a controller and a right node, and
// to that node's disk.
#ifndef CERTCAST_TESTS_CONFORMANCE_FAULT_H_
#define CERTCAST_TESTS_CONFORMANCE_FAULT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "certcast/v1/bundle.pb.h"
#include "certcast/v1/link.pb.h"
#include "tests/conformance/site.h"

namespace certcast::conformance {

// A link to the right node, and what the faults remember of it.
struct Passage {
  explicit Passage(const Site& the_site) : site(the_site) {}

  const Site& site;
  // What was given to the node, by the id that the controller knows.
  std::map<std::string, std::string> ids;
  std::map<std::string, v1::Command> commands;
  std::set<std::string> seen;
  uint64_t highest = 0;
};

struct Fault {
  // Of node.yaml: the first text becomes the second.
  std::pair<std::string, std::string> reconfigured;
  // What becomes of a command, and of a report, on its way. One at a time.
  std::function<void(Passage&, v1::Command&)> on_command;
  std::function<void(Passage&, v1::Report&)> on_report;
  // The controller is gone, and so is the node.
  std::function<void(Passage&)> on_end;
  // Answers bytes that are no message.
  bool answers_garbage = false;
  // Over gRPC: serves whoever does not begin with TLS as well.
  bool speaks_plaintext = false;
  // Lets a report wait for the next one where there will be one.
  bool swaps_answers = false;
};

using Faults = std::map<std::string, Fault>;
// Of what is said: ids, Hello, inventories, results.
Faults MessageFaults();
// Of step verify.
Faults BundleFaults();
Faults ChallengeFaults();
// Of what is on the disk, and of what is run.
Faults DiskFaults();

// --- For those.

// "REVERTED CHECK_FAILED", "INSTALLED"; empty when it is no result of an install.
std::string OutcomeIn(const v1::Report& report);
// An empty one where there is none.
v1::Manifest ManifestIn(const v1::Command& command);

}  // namespace certcast::conformance

#endif  // CERTCAST_TESTS_CONFORMANCE_FAULT_H_
