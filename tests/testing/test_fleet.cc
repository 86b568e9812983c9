#include "tests/testing/test_fleet.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "certcast/v1/identity.pb.h"
#include "common/identity/names.h"
#include "common/x509/pem.h"
#include "common/x509/ssl_ptr.h"

namespace certcast::testing {
namespace {

template <typename T>
T Require(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "test fleet: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

}  // namespace

TestFleet::TestFleet(std::string id) : TestFleet(std::move(id), Require(PrivateKey::Generate(KeyType::kEd25519))) {
}

TestFleet::TestFleet(std::string id, PrivateKey signing_key)
    : id_(std::move(id)), signing_key_(std::move(signing_key)), key_(Require(ManifestKey::FromPrivate(signing_key_))) {
}

v1::Bundle TestFleet::Bundle(const IssuedCertificate& issued, const std::string& certificate, uint64_t generation,
                             absl::Time signed_at, absl::Duration lifetime) const {
  return Require(MakeBundle({.fleet_id = id_,
                             .certificate = certificate,
                             .generation = generation,
                             .fullchain_pem = issued.fullchain_pem,
                             .private_key_pem = &issued.key_pem,
                             .signed_at = signed_at,
                             .lifetime = lifetime},
                            signing_key_));
}

v1::Bundle TestFleet::Resign(v1::Bundle bundle, const v1::Manifest& manifest) const {
  bundle.set_manifest(manifest.SerializeAsString());
  const SslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  std::string signature(64, '\0');
  size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, signing_key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(bundle.manifest().data()), bundle.manifest().size()) != 1) {
    std::fprintf(stderr, "test fleet: signing failed\n");
    std::abort();
  }
  bundle.set_signature(signature);
  return bundle;
}

std::string TestFleet::Identity(const TestCa& ca, const std::string& name, const PrivateKey& key,
                                const std::string& fleet_id, absl::Time not_after) const {
  const IssuedCertificate issued = ca.Issue(
      {.dns_names = {NodeDnsName(name)}, .uris = {NodeUri(fleet_id, name)}, .not_after = not_after, .key = &key});
  v1::FleetIdentity identity;
  identity.set_schema(1);
  identity.set_fleet_id(fleet_id);
  identity.set_node(name);
  identity.set_manifest_key_pem(key_.ToPem());
  return absl::StrCat(issued.certificate.ToPem(), ca.root_pem(),
                      EncodePem("CERTCAST FLEET", identity.SerializeAsString()));
}

}  // namespace certcast::testing
