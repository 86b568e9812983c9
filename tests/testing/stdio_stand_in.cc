// Stands in for `certcast-node` at the end of an SSH session: speaks the link on its standard input and output, and
// installs nothing.
//
//   stdio_stand_in --version
//   stdio_stand_in stdio
//
// Without STAND_IN_NODE in its environment it is hosted. To Describe it answers with an Inventory whose node is what
// it was told to be, whose version is its own path, and whose fleet is its user. An Install gets no answer.
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "certcast/v1/link.pb.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "google/protobuf/util/delimited_message_util.h"

namespace {

using certcast::v1::Command;
using certcast::v1::Report;

void Say(const Report& report) {
  google::protobuf::util::SerializeDelimitedToOstream(report, &std::cout);
  std::cout.flush();
}

int Serve() {
  std::cout << "certcast-link 1\n";
  const char* node = std::getenv("STAND_IN_NODE");
  std::string name = node == nullptr ? "" : node;
  Report report;
  report.mutable_hello()->set_hosted(node == nullptr);
  report.mutable_hello()->set_node(name);
  report.mutable_hello()->set_version("stand-in");
  Say(report);
  google::protobuf::io::FileInputStream input(STDIN_FILENO);
  Command command;
  bool ended = false;
  while (google::protobuf::util::ParseDelimitedFromZeroCopyStream(&command, &input, &ended)) {
    if (command.has_definition()) name = command.definition().node();
    if (command.has_install()) continue;
    report.Clear();
    report.set_command_id(command.id());
    report.mutable_progress()->set_step("look");
    Say(report);
    report.mutable_inventory()->set_node(name);
    char path[4096] = {};
    if (readlink("/proc/self/exe", path, sizeof path - 1) > 0) report.mutable_inventory()->set_version(path);
    report.mutable_inventory()->set_fleet_id(std::to_string(getuid()));
    Say(report);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "--version") {
    std::cout << "certcast-node stand-in\n";
    return 0;
  }
  return verb == "stdio" ? Serve() : 2;
}
