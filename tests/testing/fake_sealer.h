// A sealer that hides nothing: for tests of who seals what for which purpose.
#ifndef CERTCAST_TESTS_TESTING_FAKE_SEALER_H_
#define CERTCAST_TESTS_TESTING_FAKE_SEALER_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "controller/keyring/sealer.h"

namespace certcast::testing {

// Opens only what it sealed, and only for the same purpose. Thread-safe.
class FakeSealer final : public controller::Sealer {
 public:
  absl::StatusOr<state::v1::Sealed> Seal(absl::string_view purpose, const Secret& secret) override {
    state::v1::Sealed sealed;
    sealed.set_purpose(std::string(purpose));
    sealed.set_ciphertext(absl::StrCat("sealed:", secret.ExposeSecret()));
    return sealed;
  }

  absl::StatusOr<Secret> Open(absl::string_view purpose, const state::v1::Sealed& sealed) override {
    absl::string_view text = sealed.ciphertext();
    if (sealed.purpose() != purpose || text.substr(0, 7) != "sealed:") {
      return absl::InternalError(absl::StrCat("sealed for ", sealed.purpose(), ", opened for ", purpose));
    }
    return Secret(text.substr(7));
  }
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_SEALER_H_
