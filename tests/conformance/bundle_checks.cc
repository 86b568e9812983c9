#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certcast/v1/bundle.pb.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "tests/conformance/examiner.h"

namespace certcast::conformance {
namespace {

using testing::IssuedCertificate;
using testing::TestCa;

constexpr char kVerify[] = "design 5, verify; outcome.proto";

// Sends the command, which must be refused with one of these reasons and change nothing.
absl::Status ExpectRefused(Examiner& examiner, const v1::Command& command, absl::string_view reason) {
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(command));
  const v1::Failure& failure = report.has_refusal() ? report.refusal().failure() : report.install_result().failure();
  RETURN_IF_ERROR(Expect(
      report.has_refusal() || report.install_result().outcome() == v1::Outcome::FAILED,
      absl::StrCat("it is not refused: the outcome is ", v1::Outcome::Code_Name(report.install_result().outcome()))));
  RETURN_IF_ERROR(ExpectSame("the reason", v1::Reason::Code_Name(failure.reason()), reason));
  RETURN_IF_ERROR(Expect(!failure.detail().empty(), "the failure has no detail"));
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), ""));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status ExpectRefused(Examiner& examiner, const v1::Bundle& bundle, absl::string_view reason) {
  return ExpectRefused(examiner, examiner.NewInstall(bundle), reason);
}

// Makes a check of a bundle that `make` spoils.
using Make = std::function<v1::Bundle(Examiner&)>;
Check Refused(const std::string& name, const std::string& reason, const std::string& what, const Make& make) {
  return {"bundle." + name, absl::StrCat("Refused with ", reason, ", and nothing changes: ", what, "."), kVerify,
          [=](Examiner& examiner) { return ExpectRefused(examiner, make(examiner), reason); }};
}

v1::Bundle Good(Examiner& examiner) {
  return examiner.Bundle(examiner.site().Issue(), examiner.NextGeneration());
}

v1::Bundle Of(Examiner& examiner, const IssuedCertificate& issued) {
  return examiner.Bundle(issued, examiner.NextGeneration());
}

v1::Bundle OfSpec(Examiner& examiner, testing::CertificateSpec spec) {
  if (spec.dns_names.empty()) spec.dns_names = {kAllowed};
  return Of(examiner, examiner.site().public_ca().Issue(spec));
}

// With a manifest that says something else, rightly signed.
v1::Bundle Changed(Examiner& examiner, const v1::Bundle& bundle, const std::function<void(v1::Manifest&)>& change) {
  v1::Manifest manifest;
  manifest.ParseFromString(bundle.manifest());
  change(manifest);
  return examiner.site().fleet().Resign(bundle, manifest);
}

// With other parts, which the manifest names.
v1::Bundle WithParts(Examiner& examiner, v1::Bundle bundle, const std::string& fullchain, const std::string& key) {
  bundle.set_fullchain_pem(fullchain);
  bundle.set_private_key_pem(key);
  return Changed(examiner, bundle, [&](v1::Manifest& manifest) {
    manifest.mutable_fullchain_pem()->set_size(fullchain.size());
    manifest.mutable_fullchain_pem()->set_sha256(Sha256Hex(fullchain));
    manifest.mutable_private_key_pem()->set_size(key.size());
    manifest.mutable_private_key_pem()->set_sha256(Sha256Hex(key));
  });
}

v1::Bundle WithChain(Examiner& examiner, const IssuedCertificate& issued, const std::string& fullchain) {
  return WithParts(examiner, Of(examiner, issued), fullchain, std::string(issued.key_pem.ExposeSecret()));
}

v1::Bundle SignedAt(Examiner& examiner, absl::Time when) {
  return examiner.site().fleet().Bundle(examiner.site().Issue(), kCertificate, examiner.NextGeneration(), when);
}

v1::Bundle OfLowerCa(Examiner& examiner,
                     const std::function<std::string(const TestCa& upper, const TestCa& lower)>& chain) {
  const TestCa& upper = examiner.site().public_ca();
  const TestCa lower = upper.Intermediate("conformance lower CA");
  const IssuedCertificate issued = lower.Issue({.dns_names = {kAllowed}});
  return WithChain(examiner, issued, issued.certificate.ToPem() + chain(upper, lower));
}

std::vector<Check> SignatureChecks() {
  return {
      Refused("signature", "SIGNATURE_INVALID", "a signature that is not right",
              [](Examiner& examiner) {
                v1::Bundle bundle = Good(examiner);
                (*bundle.mutable_signature())[10] ^= 1;
                return bundle;
              }),
      Refused("changed-manifest", "SIGNATURE_INVALID", "a manifest that was changed after it was signed",
              [](Examiner& examiner) {
                v1::Bundle bundle = Good(examiner);
                bundle.set_manifest(Good(examiner).manifest());
                return bundle;
              }),
      Refused("signer", "SIGNATURE_INVALID", "another signer than the fleet's",
              [](Examiner& examiner) {
                const testing::TestFleet impostor(examiner.site().fleet().id());
                return impostor.Bundle(examiner.site().Issue(), kCertificate, examiner.NextGeneration(), absl::Now());
              }),
      Refused("fleet", "FOREIGN_FLEET", "a manifest for another fleet",
              [](Examiner& examiner) {
                return Changed(examiner, Good(examiner),
                               [](v1::Manifest& manifest) { manifest.set_fleet_id("another"); });
              }),
      Refused("expired-manifest", "MANIFEST_EXPIRED", "a manifest whose time is over",
              [](Examiner& examiner) { return SignedAt(examiner, absl::Now() - absl::Hours(48)); }),
      Refused("future-manifest", "MANIFEST_EXPIRED", "a manifest from the future",
              [](Examiner& examiner) { return SignedAt(examiner, absl::Now() + absl::Hours(1)); }),
      Refused("manifest-garbage", "MALFORMED", "signed bytes that are no manifest",
              [](Examiner& examiner) {
                v1::Manifest nonsense;
                nonsense.GetReflection()->MutableUnknownFields(&nonsense)->AddVarint(1, 5);
                return examiner.site().fleet().Resign(Good(examiner), nonsense);
              }),
      Refused("certificate-name", "MALFORMED", "a certificate's name that would leave its folder",
              [](Examiner& examiner) {
                return Changed(examiner, Good(examiner),
                               [](v1::Manifest& manifest) { manifest.set_certificate("../../etc"); });
              }),
      Refused("generation-zero", "MALFORMED", "generation 0",
              [](Examiner& examiner) {
                return Changed(examiner, Good(examiner), [](v1::Manifest& manifest) { manifest.set_generation(0); });
              }),
      Refused("undeclared", "NOT_DECLARED", "a certificate that no service of the node uses",
              [](Examiner& examiner) {
                return examiner.site().fleet().Bundle(examiner.site().Issue(), "another", 1, absl::Now());
              }),
  };
}

std::vector<Check> PartChecks() {
  return {
      Refused("part-changed", "FINGERPRINT_MISMATCH", "a chain that is not the manifest's",
              [](Examiner& examiner) {
                v1::Bundle bundle = Good(examiner);
                bundle.mutable_fullchain_pem()->append("\n");
                return bundle;
              }),
      Refused("part-truncated", "FINGERPRINT_MISMATCH", "a key that was cut off",
              [](Examiner& examiner) {
                v1::Bundle bundle = Good(examiner);
                bundle.mutable_private_key_pem()->resize(bundle.private_key_pem().size() / 2);
                return bundle;
              }),
      Refused("leaf-digest", "FINGERPRINT_MISMATCH", "a manifest that names another leaf",
              [](Examiner& examiner) {
                return Changed(examiner, Good(examiner),
                               [](v1::Manifest& manifest) { manifest.set_leaf_sha256(std::string(64, '0')); });
              }),
      Refused("chain-garbage", "MALFORMED", "a chain that does not parse",
              [](Examiner& examiner) { return WithChain(examiner, examiner.site().Issue(), "no PEM"); }),
      Refused("key-garbage", "MALFORMED", "a key that does not parse",
              [](Examiner& examiner) {
                const IssuedCertificate issued = examiner.site().Issue();
                return WithParts(examiner, Of(examiner, issued), issued.fullchain_pem, "no PEM");
              }),
      Refused("chain-size", "MALFORMED", "a chain of more than 64 KiB",
              [](Examiner& examiner) {
                const IssuedCertificate issued = examiner.site().Issue();
                return WithChain(examiner, issued, issued.fullchain_pem + std::string(size_t{64} * 1024, '\n'));
              }),
      Refused("chain-length", "MALFORMED", "a chain of more than 10 certificates",
              [](Examiner& examiner) {
                const IssuedCertificate issued = examiner.site().Issue();
                std::string chain = issued.certificate.ToPem();
                for (int i = 0; i < 10; ++i) chain += examiner.site().public_ca().certificate().ToPem();
                return WithChain(examiner, issued, chain);
              }),
      Refused("key-size", "MALFORMED", "a key of more than 16 KiB",
              [](Examiner& examiner) {
                const IssuedCertificate issued = examiner.site().Issue();
                return WithParts(examiner, Of(examiner, issued), issued.fullchain_pem,
                                 std::string(issued.key_pem.ExposeSecret()) + std::string(size_t{16} * 1024, '\n'));
              }),
      Refused("key-mismatch", "KEY_MISMATCH", "another certificate's key",
              [](Examiner& examiner) {
                const IssuedCertificate issued = examiner.site().Issue();
                return WithParts(examiner, Of(examiner, issued), issued.fullchain_pem,
                                 std::string(examiner.site().Issue().key_pem.ExposeSecret()));
              }),
  };
}

std::vector<Check> CertificateChecks() {
  return {
      Refused("chain-order", "CHAIN_INVALID", "intermediates in the wrong order",
              [](Examiner& examiner) {
                return OfLowerCa(examiner, [](const TestCa& upper, const TestCa& lower) {
                  return upper.certificate().ToPem() + lower.certificate().ToPem();
                });
              }),
      Refused("chain-gap", "CHAIN_INVALID", "a missing intermediate",
              [](Examiner& examiner) {
                return OfLowerCa(examiner,
                                 [](const TestCa& upper, const TestCa&) { return upper.certificate().ToPem(); });
              }),
      Refused("chain-foreign", "CHAIN_INVALID", "a foreign intermediate",
              [](Examiner& examiner) {
                return OfLowerCa(examiner, [](const TestCa&, const TestCa&) {
                  return TestCa::Root().Intermediate("foreign").certificate().ToPem();
                });
              }),
      Refused("leaf-signature", "CHAIN_INVALID", "a leaf that its issuer did not sign",
              [](Examiner& examiner) { return OfSpec(examiner, {.wrong_signature = true}); }),
      Refused("expired", "EXPIRED", "a leaf that has expired",
              [](Examiner& examiner) { return OfSpec(examiner, {.not_after = absl::Now() - absl::Hours(1)}); }),
      Refused("not-yet-valid", "NOT_YET_VALID", "a leaf that is not valid yet",
              [](Examiner& examiner) { return OfSpec(examiner, {.not_before = absl::Now() + absl::Hours(1)}); }),
      Refused("name", "NAME_NOT_ALLOWED", "a leaf with one name too many",
              [](Examiner& examiner) {
                return OfSpec(examiner, {.dns_names = {kAllowed, "www.bank.test"}});
              }),
      Refused("weak-key", "KEY_TYPE_NOT_ALLOWED", "a key of RSA 1024",
              [](Examiner& examiner) {
                const PrivateKey key = testing::MakeRsaKey(1024);
                return OfSpec(examiner, {.key = &key});
              }),
      Refused("other-key", "KEY_TYPE_NOT_ALLOWED", "a key on another curve than P-256 and P-384",
              [](Examiner& examiner) {
                const PrivateKey key = testing::MakeEcKey("secp256k1");
                return OfSpec(examiner, {.key = &key});
              }),
  };
}

// --- What counts beside the bundle itself.

absl::Status RefusesALowerGeneration(Examiner& examiner) {
  return ExpectRefused(examiner, examiner.Bundle(examiner.site().Issue(), examiner.good_generation() - 1), "DOWNGRADE");
}

absl::Status RefusesOtherContents(Examiner& examiner) {
  return ExpectRefused(examiner, examiner.Bundle(examiner.site().Issue(), examiner.good_generation()), "DOWNGRADE");
}

absl::Status BoundsTheWaitForConfirm(Examiner& examiner) {
  for (const absl::Duration timeout : {absl::ZeroDuration(), absl::Hours(1) + absl::Seconds(1)}) {
    RETURN_IF_ERROR(ExpectRefused(examiner, examiner.NewInstall(Good(examiner), timeout), "MALFORMED"));
  }
  return absl::OkStatus();
}

absl::Status RefusesATruncatedBundleEverywhere(Examiner& examiner) {
  const std::string whole = Good(examiner).SerializeAsString();
  for (size_t size = 0; size < whole.size(); size += whole.size() / 40 + 1) {
    v1::Bundle bundle;
    if (!bundle.ParseFromString(whole.substr(0, size))) continue;
    ASSIGN_OR_RETURN(const v1::InstallResult result, examiner.Change(examiner.NewInstall(bundle)));
    RETURN_IF_ERROR(Expect(result.outcome() == v1::Outcome::FAILED, absl::StrCat("accepted when cut at byte ", size)));
  }
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), ""));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

}  // namespace

std::vector<Check> BundleChecks() {
  std::vector<Check> checks;
  for (std::vector<Check> more : {SignatureChecks(), PartChecks(), CertificateChecks()}) {
    std::move(more.begin(), more.end(), std::back_inserter(checks));
  }
  checks.push_back({"bundle.truncated", "A bundle that was cut off anywhere is refused, and nothing changes.", kVerify,
                    RefusesATruncatedBundleEverywhere});
  checks.push_back({"bundle.lower-generation", "A generation below one that was accepted is refused (DOWNGRADE).",
                    "design 2.5", RefusesALowerGeneration});
  checks.push_back({"bundle.other-contents", "The same generation with other contents is refused (DOWNGRADE).",
                    "design 2.5", RefusesOtherContents});
  checks.push_back({"bundle.confirm-timeout", "confirm_timeout is from 1 s to 1 h; otherwise MALFORMED.", "link.proto",
                    BoundsTheWaitForConfirm});
  return checks;
}

}  // namespace certcast::conformance
