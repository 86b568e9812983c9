// What must hold of the leaf and its key: certificate.h's CheckKeyMatches, CheckKeyStrength and CheckDates.
#include <openssl/objects.h>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/show_utc.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/key_library.h"

namespace certcast {
namespace {

constexpr absl::Duration kClockTolerance = absl::Minutes(1);

bool SignsFor(EVP_PKEY* private_key, EVP_PKEY* public_key) {
  constexpr absl::string_view kText = "certcast: does this key sign for this certificate?";
  const auto* text = reinterpret_cast<const unsigned char*>(kText.data());
  const EVP_MD* digest = SigningDigest(private_key);
  const SslPtr<EVP_MD_CTX> signer(EVP_MD_CTX_new());
  const SslPtr<EVP_MD_CTX> verifier(EVP_MD_CTX_new());
  size_t size = 0;
  if (EVP_DigestSignInit(signer.get(), nullptr, digest, nullptr, private_key) != 1 ||
      EVP_DigestSign(signer.get(), nullptr, &size, text, kText.size()) != 1) {
    return false;
  }
  std::vector<unsigned char> signature(size);
  return EVP_DigestSign(signer.get(), signature.data(), &size, text, kText.size()) == 1 &&
         EVP_DigestVerifyInit(verifier.get(), nullptr, digest, nullptr, public_key) == 1 &&
         EVP_DigestVerify(verifier.get(), signature.data(), size, text, kText.size()) == 1;
}

// A key file may carry a public half that is not its private half's. OpenSSL finds that out where it can compute the
// one from the other; of an RSA key it would look for ever whether its factors are prime, so that has to sign.
bool BelongsTogether(EVP_PKEY* private_key, EVP_PKEY* public_key) {
  if (EVP_PKEY_is_a(private_key, "RSA") == 1 || EVP_PKEY_is_a(private_key, "RSA-PSS") == 1) {
    return SignsFor(private_key, public_key);
  }
  const SslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_pkey(KeyLibrary(), private_key, nullptr));
  return context != nullptr && EVP_PKEY_pairwise_check(context.get()) == 1;
}

absl::Status NotAllowed(absl::string_view what) {
  return Fail(Reason::KEY_TYPE_NOT_ALLOWED, absl::StrCat("the certificate's key is ", what),
              "RSA of 2048 to 8192 bits or ECDSA on P-256, P-384 or P-521 is allowed");
}

absl::Status CheckCurve(const EVP_PKEY* key) {
  const int curve = CurveOf(key);
  if (curve == NID_X9_62_prime256v1 || curve == NID_secp384r1 || curve == NID_secp521r1) return absl::OkStatus();
  return NotAllowed(curve == NID_undef ? "on a curve without a name"
                                       : absl::StrCat("on the curve ", OBJ_nid2sn(curve)));
}

// OpenSSL reads every form, so that one key could be in certificates with several digests.
absl::Status CheckPoint(const Certificate& leaf) {
  constexpr unsigned char kUncompressed = 4;  // SEC 1 section 2.3.3
  const ASN1_BIT_STRING* point = X509_get0_pubkey_bitstr(leaf.get());
  if (ASN1_STRING_length(point) > 0 && *ASN1_STRING_get0_data(point) == kUncompressed) return absl::OkStatus();
  return NotAllowed("an EC point that is not uncompressed, and TLS has no other (RFC 8422 section 5.1.2)");
}

}  // namespace

absl::Status CheckKeyMatches(const Certificate& leaf, const PrivateKey& key) {
  EVP_PKEY* const public_key = X509_get0_pubkey(leaf.get());
  const bool matches =
      public_key != nullptr && EVP_PKEY_eq(public_key, key.get()) == 1 && BelongsTogether(key.get(), public_key);
  TakeOpensslErrors();
  if (matches) return absl::OkStatus();
  return Fail(Reason::KEY_MISMATCH, absl::StrCat("the private key is not that of the certificate for ",
                                                 leaf.dns_names().empty() ? leaf.subject_name() : leaf.dns_names()[0]));
}

absl::Status CheckKeyStrength(const Certificate& leaf) {
  const EVP_PKEY* key = X509_get0_pubkey(leaf.get());
  if (key == nullptr) {
    TakeOpensslErrors();
    return NotAllowed("of an unknown kind");
  }
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    return bits >= 2048 && bits <= 8192 ? absl::OkStatus() : NotAllowed(absl::StrCat("RSA of ", bits, " bits"));
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    RETURN_IF_ERROR(CheckCurve(key));
    return CheckPoint(leaf);
  }
  const char* name = EVP_PKEY_get0_type_name(key);
  return NotAllowed(name == nullptr ? "of an unknown kind" : name);
}

absl::Status CheckDates(const Certificate& leaf, absl::Time now) {
  if (now > leaf.not_after()) {
    return Fail(Reason::EXPIRED, absl::StrCat("the certificate expired at ", ShowUtcSecond(leaf.not_after()),
                                              "; it is ", ShowUtcSecond(now), " here"));
  }
  if (now + kClockTolerance < leaf.not_before()) {
    return Fail(Reason::NOT_YET_VALID,
                absl::StrCat("the certificate is valid from ", ShowUtcSecond(leaf.not_before()), "; it is ",
                             ShowUtcSecond(now), " here"),
                "compare the clocks of both machines");
  }
  return absl::OkStatus();
}

}  // namespace certcast
