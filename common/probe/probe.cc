#include "common/probe/probe.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace certcast {
namespace {

std::string Describe(const ClientCertificate& client) {
  return client.empty() ? "" : absl::StrCat(" client ", client.certificate_file);
}

std::string Describe(const BodyPattern& body) {
  switch (body.kind) {
    case BodyPattern::Kind::kNone:
      return "";
    case BodyPattern::Kind::kContains:
      return absl::StrCat(" body contains ", body.text);
    case BodyPattern::Kind::kMatches:
      return absl::StrCat(" body matches ", body.text);
  }
  return "";
}

struct Describer {
  std::string operator()(const TlsProbe& probe) const {
    const absl::string_view starttls = NameOf(probe.starttls);
    return absl::StrCat("tls ", probe.address, probe.server_name.empty() ? "" : " ", probe.server_name,
                        starttls.empty() ? "" : " starttls ", starttls, probe.expects_chain ? " chain" : "",
                        Describe(probe.client));
  }
  std::string operator()(const HttpProbe& probe) const {
    constexpr int kOk = 200;
    const std::string status = probe.status == kOk ? "" : absl::StrCat(" status ", probe.status);
    return absl::StrCat("http ", probe.url, probe.host.empty() ? "" : " ", probe.host, status, Describe(probe.body),
                        Describe(probe.client));
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
