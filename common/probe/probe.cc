#include "common/probe/probe.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace certcast {
namespace {

struct Describer {
  std::string operator()(const TlsProbe& probe) const {
    const absl::string_view starttls = NameOf(probe.starttls);
    return absl::StrCat("tls ", probe.address, probe.server_name.empty() ? "" : " ", probe.server_name,
                        starttls.empty() ? "" : " starttls ", starttls, probe.expects_chain ? " chain" : "");
  }
  std::string operator()(const HttpProbe& probe) const {
    return absl::StrCat("http ", probe.url, probe.host.empty() ? "" : " ", probe.host);
  }
  std::string operator()(const TcpProbe& probe) const { return absl::StrCat("tcp ", probe.address); }
  std::string operator()(const CommandProbe& probe) const {
    return absl::StrCat("command ", absl::StrJoin(probe.argv, " "));
  }
};

}  // namespace

std::string ProbeSpec::Describe() const {
  return std::visit(Describer{}, what);
}

}  // namespace certcast
