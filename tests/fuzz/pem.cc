// PEM and DER as they come from CAs, operators, controllers and files that were there before: chains, keys, manifest
// keys.
#include "common/x509/pem.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/manifest/manifest.h"
#include "common/service/service.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "node/engine/content.h"
#include "tests/fuzz/target.h"
#include "tests/testing/test_ca.h"

namespace certcast::fuzz {
namespace {

constexpr size_t kMaxPem = size_t{64} * 1024;
constexpr size_t kNearStart = 64;
constexpr absl::Time kNow = absl::FromUnixSeconds(1893456000);

void TrySplit(absl::string_view input) {
  const auto blocks = SplitPem(input, kMaxPem);
  RequireOrderly(blocks.status());
  RequireHidden(blocks.status(), input);
  if (!blocks.ok()) return;
  const char* end = input.data();
  for (const PemBlock& block : *blocks) {
    Require(block.text.data() >= end && block.text.data() + block.text.size() <= input.data() + input.size(),
            "blocks are in order, beside one another, and within the text");
    end = block.text.data() + block.text.size();
    const absl::StatusOr<std::string> bytes = DecodePem(block);
    RequireOrderly(bytes.status());
    if (!bytes.ok()) continue;
    const std::string again = EncodePem(block.label, *bytes);
    const auto blocks_again = SplitPem(again, 2 * kMaxPem);
    Require(blocks_again.ok() && blocks_again->size() == 1 && blocks_again->front().label == block.label,
            "what is written is one block");
    const absl::StatusOr<std::string> bytes_again = DecodePem(blocks_again->front());
    Require(bytes_again.ok() && *bytes_again == *bytes, "a block that was decoded is decoded again to the same");
  }
}

void RequireWellFormed(const Certificate& certificate) {
  const absl::StatusOr<Certificate> again = Certificate::FromDer(certificate.der());
  Require(again.ok() && again->sha256() == certificate.sha256(), "a certificate is read again from its DER");
  Require(certificate.not_before() >= absl::FromUnixSeconds(-62135596800) &&
              certificate.not_after() < absl::FromUnixSeconds(253402300800),
          "dates are of the years 1 to 9999");
  for (const std::string& name : certificate.dns_names()) {
    Require(!name.empty() && name.find('\0') == std::string::npos, "a name is one");
  }
  const auto pem = ParseChainPem(certificate.ToPem());
  Require(!pem.ok() ? certificate.der().size() > kMaxPem / 2 : pem->front().sha256() == certificate.sha256(),
          "a certificate is read again from its PEM");
}

void TryDer(absl::string_view input) {
  const absl::StatusOr<Certificate> certificate = Certificate::FromDer(input);
  RequireOrderly(certificate.status());
  if (!certificate.ok()) return;
  Require(certificate->der() == input, "a fingerprint is of all bytes that came");
  RequireWellFormed(*certificate);
  RequireOrderly(CheckKeyStrength(*certificate));
  RequireOrderly(CheckDates(*certificate, kNow));
}

void TryChain(absl::string_view input) {
  const auto chain = ParseChainPem(input);
  RequireOrderly(chain.status());
  if (!chain.ok()) return;
  Require(!chain->empty() && chain->size() <= 10, "a chain has one to ten certificates");
  for (const Certificate& certificate : *chain) RequireWellFormed(certificate);
  const std::string pem = ChainToPem(*chain);
  // Whatever white space there was, what is written is bounded too.
  Require(pem.size() <= 2 * kMaxPem, "a chain does not grow when it is written");
  const absl::Status alone = CheckChain(*chain, kNow, /*allow_leaf_alone=*/true);
  RequireOrderly(alone);
  RequireOrderly(CheckChain(*chain, kNow, /*allow_leaf_alone=*/false));
  RequireOrderly(CheckKeyStrength(chain->front()));
  const auto again = ParseChainPem(pem);
  if (!again.ok()) {
    Require(pem.size() > kMaxPem, "a chain that was read is written so that it can be read");
    return;
  }
  Require(std::equal(chain->begin(), chain->end(), again->begin(), again->end(),
                     [](const Certificate& a, const Certificate& b) { return a.sha256() == b.sha256(); }),
          "a chain that was written is read again as the same");
  Require(ChainToPem(*again) == pem, "a chain is written in one way");
  const auto found = node::ChainIn(FileContent::kFullchain, pem);
  Require(found.size() == chain->size(), "a chain is found in the file that it was written to");
}

void TryKey(absl::string_view input) {
  const absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(input);
  RequireOrderly(key.status());
  RequireHidden(key.status(), input);
  if (!key.ok()) return;
  const absl::StatusOr<Secret> pem = key->ToPem();
  RequireOrderly(pem.status());
  if (!pem.ok()) return;
  const absl::StatusOr<PrivateKey> again = PrivateKey::FromPem(pem->ExposeSecret());
  Require(again.ok() && again->spki_sha256() == key->spki_sha256(), "a key that was written is read again as the same");
}

void TryManifestKey(absl::string_view input) {
  const absl::StatusOr<ManifestKey> key = ManifestKey::FromPem(input);
  RequireOrderly(key.status());
  if (!key.ok()) return;
  const absl::StatusOr<ManifestKey> again = ManifestKey::FromPem(key->ToPem());
  Require(again.ok() && *again == *key, "a manifest key that was written is read again as the same");
}

// What the node looks for in files that it did not write.
void TryFile(absl::string_view input) {
  for (const FileContent content : {FileContent::kCertificate, FileContent::kCombined, FileContent::kDer}) {
    ServiceFile file;
    file.content = content;
    const std::optional<Certificate> leaf = node::LeafIn(file, input);
    RequireOrderly(absl::OkStatus());
    const std::vector<Certificate> chain = node::ChainIn(content, input);
    RequireOrderly(absl::OkStatus());
    if (!chain.empty()) {
      Require(leaf.has_value() && leaf->sha256() == chain.front().sha256(), "the first of a file's chain is its leaf");
    }
  }
}

// DER in PEM that is right, so that changes in it are not lost in base64: certificates, and each as a key too.
void TryPieces(absl::string_view input) {
  InputReader reader(input);
  std::string pem;
  for (int i = 0; i < 10 && !reader.empty(); ++i) {
    const absl::string_view der = reader.Piece();
    TryDer(der);
    TryKey(EncodePem("PRIVATE KEY", der));
    pem += EncodePem("CERTIFICATE", der);
  }
  TryChain(pem);
  TryFile(pem);
}

}  // namespace

// PEM, DER, or pieces of DER, as they begin.
std::vector<Seed> Seeds() {
  const testing::TestCa root = testing::TestCa::Root();
  const testing::TestCa ca = root.Intermediate();
  const testing::IssuedCertificate leaf =
      ca.Issue({.dns_names = {"*.example.com", "example.com"}, .ip_addresses = {"192.0.2.1", "2001:db8::1"}});
  const testing::IssuedCertificate rsa = ca.Issue({.dns_names = {"a.example.com"}, .key_type = KeyType::kRsa2048});
  const absl::StatusOr<std::vector<PemBlock>> key_blocks = SplitPem(leaf.key_pem.ExposeSecret(), kMaxPem);
  const PrivateKey ed25519 = PrivateKey::Generate(KeyType::kEd25519).value();
  return {
      {.name = "chain", .bytes = leaf.fullchain_pem},
      {.name = "chain-with-root", .bytes = absl::StrCat(leaf.fullchain_pem, root.root_pem())},
      {.name = "chain-in-another-order", .bytes = absl::StrCat(root.root_pem(), leaf.fullchain_pem)},
      {.name = "der", .bytes = leaf.certificate.der()},
      {.name = "der-rsa", .bytes = rsa.certificate.der()},
      {.name = "ca-der", .bytes = ca.certificate().der()},
      {.name = "key", .bytes = std::string(leaf.key_pem.ExposeSecret())},
      {.name = "rsa-key", .bytes = std::string(rsa.key_pem.ExposeSecret())},
      {.name = "combined", .bytes = absl::StrCat(leaf.key_pem.ExposeSecret(), leaf.fullchain_pem)},
      {.name = "chain-in-der", .bytes = absl::StrCat(PieceOf(leaf.certificate.der()), PieceOf(ca.certificate().der()))},
      {.name = "key-in-der", .bytes = PieceOf(DecodePem(key_blocks->front()).value())},
      {.name = "manifest-key", .bytes = ManifestKey::FromPrivate(ed25519)->ToPem()},
  };
}

void TryInput(absl::string_view input) {
  TryDer(input);
  TryFile(input);
  if (!absl::StrContains(input.substr(0, kNearStart), "-----")) return TryPieces(input);
  TrySplit(input);
  TryChain(input);
  TryKey(input);
  TryManifestKey(input);
}

}  // namespace certcast::fuzz
