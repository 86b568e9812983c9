// Bytes that must not outlive their use: private keys, HMAC keys, passphrases.
#ifndef CERTCAST_COMMON_SECRET_SECRET_H_
#define CERTCAST_COMMON_SECRET_SECRET_H_

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast {

// Holds a secret and overwrites it when destroyed. Moves, never copies by accident (Clone says so), never prints.
// Thread-compatible.
class Secret {
 public:
  Secret() = default;
  // Copies `bytes`; wiping the original is the caller's.
  explicit Secret(absl::string_view bytes);
  // All zero, to be written through MutableBytes.
  static Secret OfSize(size_t size);
  Secret(Secret&&) noexcept;
  Secret& operator=(Secret&&) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  Secret Clone() const { return Secret(ExposeSecret()); }

  // The secret itself, valid while this lives. Every use is meant to be found by grep.
  absl::string_view ExposeSecret() const;
  char* MutableBytes() { return bytes_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // In constant time for equal sizes.
  bool Equals(const Secret& other) const;

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
};

// Overwrites `size` bytes in a way that the compiler keeps.
void Wipe(void* bytes, size_t size);

// Forbids core dumps and debugging by others for this process; a program it starts is not bound by the latter. Call
// first thing in main.
absl::Status HardenProcess();

}  // namespace certcast

#endif  // CERTCAST_COMMON_SECRET_SECRET_H_
