// Adopting a certificate that was obtained elsewhere.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/api/controller.h"
#include "controller/api/obtain.h"
#include "controller/api/session.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

// Every configured name must be in the certificate; it may have others, which the nodes' allow_names decide about.
absl::Status CheckNames(const CertificateConfig& config, const Certificate& leaf) {
  for (const std::string& domain : config.domains) {
    const std::vector<std::string>& names = leaf.dns_names();
    if (std::find(names.begin(), names.end(), domain) != names.end()) continue;
    return Fail(Reason::CERTIFICATE_UNEXPECTED,
                absl::StrCat("the certificate is not for ", domain, ", which ", config.name, " should have"),
                "import the right file, or change `domains` in the configuration");
  }
  return absl::OkStatus();
}

absl::Status CheckRoots(const CertificateConfig& config, const Machine& machine,
                        const std::vector<Certificate>& chain) {
  if (config.ca_file.empty()) return absl::OkStatus();
  constexpr size_t kLimit = 1024 * 1024;
  ASSIGN_OR_RETURN(std::string pem, ReadWholeFile(*machine.files, config.ca_file, kLimit));
  absl::StatusOr<std::vector<Certificate>> roots = ParseChainPem(pem);
  if (!roots.ok()) return Annotate(roots.status(), config.ca_file);
  return CheckChainAgainstRoots(chain, *roots, machine.clock->Now());
}

struct ImportedPair {
  std::vector<Certificate> chain;
  PrivateKey key;
};

absl::StatusOr<ImportedPair> CheckImport(const CertificateConfig& config, const Machine& machine,
                                         const v1::ImportRequest& request) {
  absl::StatusOr<std::vector<Certificate>> chain = ParseChainPem(request.fullchain_pem());
  if (!chain.ok()) return Annotate(chain.status(), "the chain");
  absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(request.private_key_pem());
  if (!key.ok()) return Annotate(key.status(), "the key");
  const Certificate& leaf = chain->front();
  RETURN_IF_ERROR(CheckKeyMatches(leaf, *key));
  RETURN_IF_ERROR(CheckKeyStrength(leaf));
  RETURN_IF_ERROR(CheckDates(leaf, machine.clock->Now()));
  // A private CA may sign leaves with its root, which clients hold and chains leave out.
  RETURN_IF_ERROR(CheckChain(*chain, machine.clock->Now(), /*allow_leaf_alone=*/!config.ca_file.empty()));
  RETURN_IF_ERROR(CheckRoots(config, machine, *chain));
  RETURN_IF_ERROR(CheckNames(config, leaf));
  return ImportedPair{*std::move(chain), *std::move(key)};
}

absl::StatusOr<state::v1::Generation> MakeGeneration(const CertificateConfig& config, const Machine& machine,
                                                     Session& session, const ImportedPair& pair) {
  const Certificate& leaf = pair.chain.front();
  state::v1::Generation generation;
  generation.set_certificate(config.name);
  ASSIGN_OR_RETURN(const uint64_t number, GenerationRecords(*session.store).NextNumber(config.name));
  generation.set_generation(number);
  generation.set_fullchain_pem(ChainToPem(pair.chain));
  ASSIGN_OR_RETURN(Secret key_pem, pair.key.ToPem());
  ASSIGN_OR_RETURN(*generation.mutable_private_key(),
                   session.keyring->Seal(GenerationKeyPurpose(config.name, number), key_pem));
  generation.set_leaf_sha256(leaf.sha256());
  generation.set_spki_sha256(leaf.spki_sha256());
  for (const std::string& name : leaf.dns_names()) generation.add_dns_names(name);
  *generation.mutable_not_before() = ToTimestamp(leaf.not_before());
  *generation.mutable_not_after() = ToTimestamp(leaf.not_after());
  generation.set_issuer(leaf.issuer_name());
  *generation.mutable_created_at() = ToTimestamp(machine.clock->Now());
  return generation;
}

// As if certcast had ordered it: it is renewed when it is due, and not before.
void ShowAsOrdered(const CertificateConfig& config, state::v1::Generation& generation) {
  generation.set_account(config.account);
  std::vector<std::string> names = config.domains;
  std::sort(names.begin(), names.end());
  generation.mutable_ordered_names()->Assign(names.begin(), names.end());
}

}  // namespace

absl::StatusOr<v1::ImportResponse> Controller::Import(const v1::ImportRequest& request) {
  ASSIGN_OR_RETURN(std::vector<const CertificateConfig*> selected,
                   SelectCertificates(config_, {request.certificate()}));
  const CertificateConfig& config = *selected.front();
  if (!config.imported() && !request.adopt()) {
    return FailInput(absl::StrCat("certificate ", config.name, " is obtained from account ", config.account),
                     "to bring it by hand, leave `account` and `challenge` out of its configuration");
  }
  if (config.imported() && request.adopt()) {
    return FailInput(absl::StrCat("certificate ", config.name, " has no account in ", config_.path),
                     "name the one that renews it from now on");
  }
  absl::StatusOr<ImportedPair> pair = CheckImport(config, machine_, request);
  if (!pair.ok()) return Annotate(pair.status(), absl::StrCat(config.name, " was not imported"));

  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "import"));
  GenerationRecords records(*session.store);
  v1::ImportResponse response;
  ASSIGN_OR_RETURN(auto latest, records.Wanted(config.name));
  if (latest.has_value() && latest->leaf_sha256() == pair->chain.front().sha256() &&
      latest->fullchain_pem() == ChainToPem(pair->chain)) {
    *response.add_certificates() = ShowCertificate(config.name, latest);
    return response;
  }
  // What certcast has obtained since is not taken back.
  if (request.adopt() && latest.has_value() && FromTimestamp(latest->not_after()) >= pair->chain.front().not_after()) {
    *response.add_certificates() = ShowCertificate(config.name, latest);
    return response;
  }
  ASSIGN_OR_RETURN(state::v1::Generation generation, MakeGeneration(config, machine_, session, *pair));
  if (request.adopt()) ShowAsOrdered(config, generation);
  RETURN_IF_ERROR(records.Append(generation, GenerationRecords::PendingOrder::kKeep, session.epoch()));
  *response.add_certificates() = ShowCertificate(config.name, generation);
  response.mutable_certificates(0)->set_issued(true);
  return response;
}

}  // namespace certcast::controller
