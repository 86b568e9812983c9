#include "controller/acme/issued_certificate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxCaFile = size_t{4} * 1024 * 1024;

absl::Status CheckNames(const Certificate& leaf, const std::vector<std::string>& ordered) {
  for (const std::string& name : ordered) {
    const std::vector<std::string>& issued = leaf.dns_names();
    if (std::find(issued.begin(), issued.end(), absl::AsciiStrToLower(name)) == issued.end()) {
      return Fail(Reason::CERTIFICATE_UNEXPECTED,
                  absl::StrCat(name, " was ordered, but it has only: ", absl::StrJoin(issued, ", ")));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRoots(const std::vector<Certificate>& chain, const std::string& ca_file, absl::Time now) {
  if (ca_file.empty()) return absl::OkStatus();
  const auto pem = ReadWholeFile(FileSystem::Real(), ca_file, kMaxCaFile);
  if (!pem.ok()) return FailInput(pem.status().message(), "certificates[].ca_file must be a readable PEM file");
  const auto roots = ParseChainPem(*pem);
  if (!roots.ok()) return FailInput(absl::StrCat(ca_file, ": ", roots.status().message()));
  return CheckChainAgainstRoots(chain, *roots, now);
}

// The hints of these checks are for those who bring a file; here it is the CA's to mend.
absl::Status Unexpected(const absl::Status& status) {
  if (status.ok() || absl::IsInvalidArgument(status)) return status;
  v1::Failure failure = FailureOf(status);
  const bool by_date = failure.reason() == Reason::EXPIRED || failure.reason() == Reason::NOT_YET_VALID;
  failure.set_reason(Reason::CERTIFICATE_UNEXPECTED);
  failure.set_hint(by_date ? "it was not installed anywhere; is this machine's clock right?"
                           : "it was not installed anywhere; ask the CA");
  return Annotate(StatusOf(failure), "the CA's new certificate");
}

}  // namespace

absl::StatusOr<std::vector<Certificate>> CheckIssuedChain(absl::string_view pem, const CertificateConfig& certificate,
                                                          const PrivateKey& key, absl::Time now) {
  auto chain = ParseChainPem(pem);
  if (!chain.ok()) return Unexpected(Fail(Reason::MALFORMED, chain.status().message()));
  const Certificate& leaf = chain->front();
  RETURN_IF_ERROR(Unexpected(CheckNames(leaf, certificate.domains)));
  RETURN_IF_ERROR(Unexpected(CheckKeyMatches(leaf, key)));
  RETURN_IF_ERROR(Unexpected(CheckKeyStrength(leaf)));
  RETURN_IF_ERROR(Unexpected(CheckDates(leaf, now)));
  // Below a private root a CA may issue from the root itself.
  RETURN_IF_ERROR(Unexpected(CheckChain(*chain, now, /*allow_leaf_alone=*/!certificate.ca_file.empty())));
  RETURN_IF_ERROR(Unexpected(CheckRoots(*chain, certificate.ca_file, now)));
  return *std::move(chain);
}

}  // namespace certcast::controller
