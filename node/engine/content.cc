#include "node/engine/content.h"

#include <cstring>
#include <string>
#include <vector>

#include "common/status/status.h"

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

}  // namespace

absl::StatusOr<Secret> RenderFile(FileContent content, const VerifiedBundle& bundle) {
  const std::vector<Certificate>& chain = bundle.chain;
  switch (content) {
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
  }
  return Fail(Reason::STORAGE_FAILED, "a file of a content that this certcast-node does not know");
}

std::optional<Certificate> LeafIn(FileContent content, absl::string_view bytes) {
  switch (content) {
    case FileContent::kChain:
    case FileContent::kPrivateKey:
      return std::nullopt;
    case FileContent::kDer: {
      absl::StatusOr<Certificate> leaf = Certificate::FromDer(bytes);
      return leaf.ok() ? std::make_optional(*std::move(leaf)) : std::nullopt;
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

absl::StatusOr<Secret> ReadSecretFile(Directory& directory, absl::string_view name) {
  ASSIGN_OR_RETURN(std::string bytes, directory.ReadFile(name, kMaxFileBytes));
  Secret secret(bytes);
  Wipe(bytes.data(), bytes.size());
  return secret;
}

}  // namespace certcast::node
