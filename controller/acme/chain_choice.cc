#include "controller/acme/chain_choice.h"

#include <openssl/pem.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"
#include "controller/acme/issued_certificate.h"

namespace certcast::controller {
namespace {

using Chain = std::vector<Certificate>;

constexpr size_t kMaxRootFile = size_t{4} * 1024 * 1024;

bool Same(const Chain& a, const Chain& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Certificate& x, const Certificate& y) { return x.sha256() == y.sha256(); });
}

// What it ends at, for people.
std::string IssuerAtTop(const Chain& chain) {
  return chain.back().issuer_name();
}

class ChainSearch {
 public:
  ChainSearch(const ChainRequest& request, const Chain& had) : request_(request), had_(had) {}

  absl::StatusOr<Chain> Run() {
    RETURN_IF_ERROR(Take(request_.url));
    if (Wanted(0)) return std::move(offered_.front());
    for (const std::string& url : alternates_) {
      // One that can't be read is not the certificate's fault.
      if (absl::Status status = Take(url); !status.ok()) {
        request_.on_progress(absl::StrCat("another chain was not read: ", status.message()));
        continue;
      }
      if (Wanted(offered_.size() - 1)) {
        ExplainOwnChoice();
        return std::move(offered_.back());
      }
    }
    return Otherwise();
  }

 private:
  // Fetches and checks one. What does not hold stays out of `offered_`; of the CA's own choice it is kept why.
  absl::Status Take(const std::string& url) {
    const absl::StatusOr<AcmeAnswer> answer =
        request_.client.Fetch(request_.signer, url, "application/pem-certificate-chain");
    const absl::Status fetched = answer.ok() ? answer->Check("fetching the certificate") : answer.status();
    if (IsTransient(answer)) unread_ = fetched;
    RETURN_IF_ERROR(fetched);
    if (url == request_.url) alternates_ = answer->alternates;
    absl::StatusOr<Chain> chain = CheckIssuedChain(answer->text, request_.certificate, request_.key, request_.now);
    // A root file that can't be read is nobody's chain.
    if (absl::IsInvalidArgument(chain.status())) return chain.status();
    if (chain.ok() && !offered_.empty() && chain->front().sha256() != offered_.front().front().sha256()) {
      return Fail(Reason::CERTIFICATE_UNEXPECTED, absl::StrCat(url, " is the chain of another certificate"));
    }
    if (chain.ok()) {
      offered_.push_back(*std::move(chain));
    } else if (url == request_.url) {
      own_choice_ = chain.status();
    } else {
      return chain.status();
    }
    return absl::OkStatus();
  }

  bool Wanted(size_t index) {
    if (index >= offered_.size()) return false;
    const Chain& chain = offered_[index];
    const ChainPreference& preference = request_.certificate.chain;
    if (preference.any()) return had_.empty() || Same(chain, had_);
    if (!preference.root_sha256.empty() && !roots_read_) {
      roots_read_ = true;
      roots_ = RootsWith(preference.root_sha256, request_.root_file);
      if (const std::string& own = request_.certificate.ca_file; roots_.empty() && !own.empty()) {
        roots_ = RootsWith(preference.root_sha256, own);
      }
    }
    return IsPreferred(chain, preference, roots_, request_.now);
  }

  absl::StatusOr<Chain> Otherwise() {
    if (offered_.empty()) return unread_.ok() ? own_choice_ : WithOwnChoice(unread_);
    if (const ChainPreference& preference = request_.certificate.chain; !preference.any()) {
      std::vector<std::string> issuers;
      for (const Chain& chain : offered_) issuers.push_back(IssuerAtTop(chain));
      request_.on_progress(
          absl::StrCat("the CA offers no chain of ", preference.ToString(),
                       " (preferred_chain), so its own choice is used; it offers: ", absl::StrJoin(issuers, ", ")));
      if (!preference.root_sha256.empty() && roots_.empty()) {
        request_.on_progress(absl::StrCat("that root is not in ", request_.root_file, " either"));
      }
    }
    ExplainOwnChoice();
    return std::move(offered_.front());
  }

  // Of a chain that could not be fetched: it is wanted, since the CA's own choice does not hold.
  absl::Status WithOwnChoice(const absl::Status& unread) const {
    v1::Failure failure = FailureOf(unread);
    failure.set_detail(
        absl::StrCat("another chain of the certificate: ", failure.detail(), "; ", FailureOf(own_choice_).detail()));
    return StatusOf(failure, unread.code());
  }

  void ExplainOwnChoice() const {
    if (own_choice_.ok()) return;
    request_.on_progress(absl::StrCat("another chain than the CA's own choice is used: ", own_choice_.message()));
  }

  const ChainRequest& request_;
  const Chain& had_;
  // Those that hold, the CA's own choice first where it does.
  std::vector<Chain> offered_;
  absl::Status own_choice_;
  // Why one of them could not be fetched for now.
  absl::Status unread_;
  std::vector<std::string> alternates_;
  bool roots_read_ = false;
  Chain roots_;
};

}  // namespace

absl::StatusOr<std::vector<Certificate>> FetchChain(const ChainRequest& request, const std::vector<Certificate>& had) {
  return ChainSearch(request, had).Run();
}

std::vector<Certificate> RootsWith(const std::string& sha256, const std::string& file) {
  std::vector<Certificate> found;
  const absl::StatusOr<std::string> pem = ReadWholeFile(FileSystem::Real(), file, kMaxRootFile);
  if (!pem.ok()) return found;
  const SslPtr<BIO> bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  while (bio != nullptr) {
    const SslPtr<X509> next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    absl::StatusOr<Certificate> root = Certificate::FromX509(next.get());
    if (root.ok() && root->sha256() == sha256) found.push_back(*std::move(root));
  }
  // The end of the file.
  TakeOpensslErrors();
  return found;
}

bool IsPreferred(const std::vector<Certificate>& chain, const ChainPreference& preference,
                 const std::vector<Certificate>& roots, absl::Time now) {
  if (!preference.issuer.empty()) {
    return std::any_of(chain.begin(), chain.end(),
                       [&](const Certificate& link) { return link.issuer_name() == preference.issuer; });
  }
  if (preference.root_sha256.empty()) return true;
  const bool includes_it = std::any_of(
      chain.begin(), chain.end(), [&](const Certificate& link) { return link.sha256() == preference.root_sha256; });
  if (includes_it) return true;
  return std::any_of(roots.begin(), roots.end(), [&](const Certificate& root) {
    return root.sha256() == preference.root_sha256 && CheckChainAgainstRoots(chain, {root}, now).ok();
  });
}

}  // namespace certcast::controller
