#include "common/secret/secret.h"

#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/status/status.h"

namespace certcast {

Secret::Secret(absl::string_view bytes) : Secret(OfSize(bytes.size())) {
  if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
}

Secret Secret::OfSize(size_t size) {
  Secret secret;
  if (size > 0) secret.bytes_ = std::make_unique<char[]>(size);
  secret.size_ = size;
  return secret;
}

Secret::Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {
}

Secret& Secret::operator=(Secret&& other) noexcept {
  // The old bytes go with `taken`.
  Secret taken(std::move(other));
  std::swap(bytes_, taken.bytes_);
  std::swap(size_, taken.size_);
  return *this;
}

Secret::~Secret() {
  Wipe(bytes_.get(), size_);
}

absl::string_view Secret::ExposeSecret() const {
  return absl::string_view(bytes_.get(), size_);
}

bool Secret::Equals(const Secret& other) const {
  return size_ == other.size_ && CRYPTO_memcmp(bytes_.get(), other.bytes_.get(), size_) == 0;
}

void Wipe(void* bytes, size_t size) {
  if (size > 0) OPENSSL_cleanse(bytes, size);
}

absl::Status HardenProcess() {
  // The hard limit stays, so that a service which is started by a reload can have its own.
  rlimit core = {};
  if (getrlimit(RLIMIT_CORE, &core) != 0) return FailErrno(errno, "reading the limit of core dumps");
  core.rlim_cur = 0;
  if (setrlimit(RLIMIT_CORE, &core) != 0) return FailErrno(errno, "forbidding core dumps");
  // Also keeps core dumps from a handler that reads them by a pipe, to which the limit does not apply.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailErrno(errno, "forbidding to debug this process");
  return absl::OkStatus();
}

}  // namespace certcast
