#include "tests/testing/debian_server.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace certcast::testing {

std::string ServerPlace::address() const {
  return absl::StrCat("127.0.0.1:", port);
}

const std::vector<DebianServer>& DebianServers() {
  static const auto& servers = *new std::vector<DebianServer>([] {
    std::vector<DebianServer> all;
    for (std::vector<DebianServer>& some :
         std::vector{WebServers(), ServersThatWatch(), MailServers(), DataServers(), OtherServers()}) {
      for (DebianServer& server : some) all.push_back(std::move(server));
    }
    return all;
  }());
  return servers;
}

}  // namespace certcast::testing
