#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/identity/names.h"
#include "common/link/bounds.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"

namespace certcast::conformance {
namespace {

// Nothing that is sent is answered, and the link ends.
absl::Status IsOfNoUse(Examiner& examiner, const Approach& approach) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link, examiner.transport().OpenAs(approach));
  (void)link->Send(examiner.NewDescribe());
  const absl::StatusOr<v1::Report> report = link->Next(examiner.patience());
  RETURN_IF_ERROR(Expect(!report.ok(), "it is answered"));
  RETURN_IF_ERROR(Expect(absl::IsUnavailable(report.status()), "it is kept waiting"));
  // The controller is served all the same.
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

// Named as the fleet's controller is.
testing::CertificateSpec ControllersSpec(Examiner& examiner) {
  testing::CertificateSpec spec;
  spec.dns_names = {ControllerDnsName()};
  spec.uris = {ControllerUri(examiner.site().fleet().id())};
  return spec;
}

absl::Status RefusesNobody(Examiner& examiner) {
  return IsOfNoUse(examiner, {});
}

absl::Status RefusesPlaintext(Examiner& examiner) {
  return IsOfNoUse(examiner, {.plaintext = true});
}

absl::Status RefusesANode(Examiner& examiner) {
  return IsOfNoUse(examiner, {.caller = examiner.site().MakeNode("another-node")});
}

absl::Status RefusesAnotherCa(Examiner& examiner) {
  const testing::IssuedCertificate issued = testing::TestCa::Root("another fleet").Issue(ControllersSpec(examiner));
  return IsOfNoUse(examiner, {.caller = {issued.fullchain_pem, std::string(issued.key_pem.ExposeSecret())}});
}

absl::Status RefusesAnotherFleet(Examiner& examiner) {
  testing::CertificateSpec spec = ControllersSpec(examiner);
  spec.uris = {ControllerUri("c0f00000-0000-4000-8000-000000000000")};
  return IsOfNoUse(examiner, {.caller = examiner.site().MakeCaller(spec)});
}

absl::Status RefusesAnExpiredCertificate(Examiner& examiner) {
  testing::CertificateSpec spec = ControllersSpec(examiner);
  spec.not_after = absl::Now() - absl::Hours(1);
  return IsOfNoUse(examiner, {.caller = examiner.site().MakeCaller(spec)});
}

absl::Status BoundsMetadata(Examiner& examiner) {
  const Caller controller = examiner.transport().controller();
  RETURN_IF_ERROR(IsOfNoUse(examiner, {.caller = controller, .metadata = kMaxLinkMetadata + 1024}));
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link,
                   examiner.transport().OpenAs({.caller = controller, .metadata = kMaxLinkMetadata / 2}));
  return Annotate(link->Next(examiner.patience()).status(), "with metadata within the bound");
}

absl::Status BoundsStreams(Examiner& examiner) {
  const absl::Time until = absl::Now() + absl::Seconds(3);
  ASSIGN_OR_RETURN(const std::vector<std::unique_ptr<Connection>> links,
                   examiner.transport().OpenTogether(kMaxStreamsPerConnection + 4, until));
  int answered = 0;
  for (const std::unique_ptr<Connection>& link : links) {
    if (link->Next(examiner.patience()).ok()) ++answered;
  }
  return Expect(answered == kMaxStreamsPerConnection, absl::StrCat(answered, " links on one connection are served"));
}

}  // namespace

std::vector<Check> WireChecks() {
  constexpr char kTrust[] = "design 4, 7; link.proto, NodeLink";
  constexpr char kBounds[] = "design 2.9, 4; link.proto";
  return {
      {"wire.plaintext", "A connection without TLS is of no use.", kTrust, RefusesPlaintext},
      {"wire.no-certificate", "Nor is one without a client's certificate.", kTrust, RefusesNobody},
      {"wire.another-ca", "Nor with one that names the controller, of another CA than the fleet's.", kTrust,
       RefusesAnotherCa},
      {"wire.another-node", "Nor with that of another node of the fleet.", kTrust, RefusesANode},
      {"wire.another-fleet", "Nor with that of another fleet's controller.", kTrust, RefusesAnotherFleet},
      {"wire.expired", "Nor with the controller's, once it has expired.", kTrust, RefusesAnExpiredCertificate},
      {"wire.metadata", "Metadata of more than 8 KiB is refused.", kBounds, BoundsMetadata},
      {"wire.streams", "A connection carries at most 16 streams.", kBounds, BoundsStreams},
  };
}

}  // namespace certcast::conformance
