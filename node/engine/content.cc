#include "node/engine/content.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/secret/reference.h"
#include "common/status/status.h"
#include "common/x509/pkcs12.h"

namespace certcast::node {
namespace {

constexpr absl::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr absl::string_view kEnd = "-----END CERTIFICATE-----";

// HAProxy's crt files: no blank line between key and certificates.
Secret Joined(absl::string_view key, absl::string_view chain) {
  Secret joined = Secret::OfSize(key.size() + chain.size());
  std::memcpy(joined.MutableBytes(), key.data(), key.size());
  std::memcpy(joined.MutableBytes() + key.size(), chain.data(), chain.size());
  return joined;
}

absl::StatusOr<Secret> RenderPkcs12(const Pkcs12Format& format, const VerifiedBundle& bundle) {
  ASSIGN_OR_RETURN(const Secret password, ReadSecret(format.password));
  return MakePkcs12(bundle.key, bundle.chain, password, format.alias, format.encryption);
}

absl::StatusOr<Secret> TopOf(const std::vector<Certificate>& chain) {
  const Certificate& top = chain.back();
  if (chain.size() > 1 || X509_self_signed(top.get(), /*verify_signature=*/0) == 1) return Secret(top.ToPem());
  return Fail(Reason::CHAIN_INVALID, "the bundle has no CA certificate, so there is nothing for a file of content ca",
              "import it with its chain, or put the CA's certificate there by other means");
}

std::optional<Pkcs12Contents> Open(const Pkcs12Format& format, absl::string_view bytes) {
  const absl::StatusOr<Secret> password = ReadSecret(format.password);
  if (!password.ok()) return std::nullopt;
  absl::StatusOr<Pkcs12Contents> contents = OpenPkcs12(bytes, *password);
  return contents.ok() ? std::make_optional(*std::move(contents)) : std::nullopt;
}

std::vector<std::string> Fingerprints(absl::Span<const Certificate> certificates) {
  std::vector<std::string> fingerprints;
  for (const Certificate& certificate : certificates) fingerprints.push_back(certificate.sha256());
  std::sort(fingerprints.begin(), fingerprints.end());
  return fingerprints;
}

}  // namespace

absl::StatusOr<Secret> RenderFile(const ServiceFile& file, const VerifiedBundle& bundle) {
  const std::vector<Certificate>& chain = bundle.chain;
  switch (file.content) {
    case FileContent::kCertificate:
      return Secret(chain.front().ToPem());
    case FileContent::kChain:
      return Secret(ChainToPem({chain.begin() + 1, chain.end()}));
    case FileContent::kFullchain:
      return Secret(ChainToPem(chain));
    case FileContent::kPrivateKey:
      return bundle.key.ToPem();
    case FileContent::kCombined: {
      ASSIGN_OR_RETURN(const Secret key, bundle.key.ToPem());
      return Joined(key.ExposeSecret(), ChainToPem(chain));
    }
    case FileContent::kDer:
      return Secret(chain.front().der());
    case FileContent::kPkcs12:
      return RenderPkcs12(file.pkcs12, bundle);
    case FileContent::kCa:
      return TopOf(chain);
  }
  return Fail(Reason::STORAGE_FAILED, "a file of a content that this certcast-node does not know");
}

bool SaysTheSame(const ServiceFile& file, const VerifiedBundle& bundle, absl::string_view bytes) {
  if (file.content != FileContent::kPkcs12) {
    const absl::StatusOr<Secret> rendered = RenderFile(file, bundle);
    return rendered.ok() && rendered->ExposeSecret() == bytes;
  }
  const std::optional<Pkcs12Contents> found = Open(file.pkcs12, bytes);
  // The key is the leaf's in both.
  return found.has_value() && found->leaf.sha256() == bundle.chain.front().sha256() &&
         Fingerprints(found->others) == Fingerprints(absl::MakeConstSpan(bundle.chain).subspan(1)) &&
         found->alias == file.pkcs12.alias && found->encryption == file.pkcs12.encryption;
}

std::optional<Certificate> LeafIn(const ServiceFile& file, absl::string_view bytes) {
  switch (file.content) {
    case FileContent::kChain:
    case FileContent::kCa:
    case FileContent::kPrivateKey:
      return std::nullopt;
    case FileContent::kDer: {
      absl::StatusOr<Certificate> leaf = Certificate::FromDer(bytes);
      return leaf.ok() ? std::make_optional(*std::move(leaf)) : std::nullopt;
    }
    case FileContent::kPkcs12: {
      std::optional<Pkcs12Contents> contents = Open(file.pkcs12, bytes);
      return contents.has_value() ? std::make_optional(std::move(contents->leaf)) : std::nullopt;
    }
    case FileContent::kCertificate:
    case FileContent::kFullchain:
    case FileContent::kCombined:
      break;
  }
  const size_t begin = bytes.find(kBegin);
  if (begin == absl::string_view::npos) return std::nullopt;
  const size_t end = bytes.find(kEnd, begin);
  if (end == absl::string_view::npos) return std::nullopt;
  const auto first = ParseChainPem(bytes.substr(begin, end + kEnd.size() - begin));
  return first.ok() ? std::make_optional(first->front()) : std::nullopt;
}

std::vector<Certificate> ChainIn(FileContent content, absl::string_view bytes) {
  if (content != FileContent::kFullchain && content != FileContent::kCombined) return {};
  const size_t begin = bytes.find(kBegin);
  const size_t end = bytes.rfind(kEnd);
  if (begin == absl::string_view::npos || end == absl::string_view::npos || end < begin) return {};
  return ParseChainPem(bytes.substr(begin, end + kEnd.size() - begin)).value_or(std::vector<Certificate>());
}

absl::StatusOr<Secret> ReadSecretFile(Directory& directory, absl::string_view name) {
  return directory.ReadSecret(name, kMaxFileBytes);
}

}  // namespace certcast::node
