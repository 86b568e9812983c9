#include "common/probe/tls_error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"

namespace certcast {
namespace {

// OpenSSL reports an alert of the peer as an error with this added to the alert's number (RFC 8446 section 6).
constexpr int kAlertOffset = SSL_AD_REASON_OFFSET;

struct AlertMeaning {
  Reason::Code reason;
  absl::string_view hint;
};

AlertMeaning MeaningOf(int alert) {
  switch (alert) {
    case SSL_AD_CERTIFICATE_REQUIRED:
      return {Reason::AUTH_FAILED, "it wants a client certificate, and got none"};
    case SSL_AD_CERTIFICATE_EXPIRED:
      return {Reason::AUTH_FAILED, "our certificate has expired, or the clocks differ: renew it, or check the time"};
    case SSL_AD_CERTIFICATE_REVOKED:
      return {Reason::AUTH_FAILED, "it takes our certificate as revoked"};
    case SSL_AD_UNKNOWN_CA:
      return {Reason::AUTH_FAILED, "it does not trust the CA of our certificate: do both belong to one fleet?"};
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_ACCESS_DENIED:
      return {Reason::AUTH_FAILED, "it refused our certificate; its own log says why"};
    case SSL_AD_UNRECOGNIZED_NAME:
      return {Reason::PROTOCOL, "it serves no certificate for this server name"};
    case SSL_AD_HANDSHAKE_FAILURE:
      return {Reason::PROTOCOL,
              "no cipher or key type that both sides can use, or it has no certificate for this name"};
    case SSL_AD_PROTOCOL_VERSION:
      return {Reason::PROTOCOL, "it does not speak TLS 1.2 or later"};
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return {Reason::PROTOCOL, "it speaks another protocol than was offered (ALPN)"};
    default:
      return {Reason::PROTOCOL, ""};
  }
}

// OpenSSL 3.0 has no text for the newer ones.
std::string NameOf(int alert) {
  if (alert == SSL_AD_CERTIFICATE_REQUIRED) return "certificate required";
  if (alert == SSL_AD_NO_APPLICATION_PROTOCOL) return "no application protocol";
  const absl::string_view name = SSL_alert_desc_string_long(alert);
  return name == "unknown" ? absl::StrCat("number ", alert) : std::string(name);
}

absl::Status AlertError(absl::string_view peer, int alert) {
  const AlertMeaning meaning = MeaningOf(alert);
  return Fail(meaning.reason, absl::StrCat(peer, " refused: TLS alert \"", NameOf(alert), "\""), meaning.hint);
}

absl::Status LibraryError(absl::string_view peer, unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    if (reason > kAlertOffset && reason < kAlertOffset + 256) return AlertError(peer, reason - kAlertOffset);
    switch (reason) {
      case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return Fail(Reason::LINK_LOST, absl::StrCat(peer, " closed the connection in the middle of the TLS handshake"),
                    "does it speak TLS on this port?");
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_HTTP_REQUEST:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
      case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
        return Fail(Reason::PROTOCOL, absl::StrCat(peer, " answered with something that is not TLS"),
                    "does another protocol, such as plain HTTP, use this port?");
      case SSL_R_UNSUPPORTED_PROTOCOL:
        return Fail(Reason::PROTOCOL, absl::StrCat(peer, " does not speak TLS 1.2 or later"));
      default:
        break;
    }
  }
  const char* text = ERR_reason_error_string(error);
  return Fail(Reason::PROTOCOL,
              absl::StrCat(peer, ": the TLS handshake failed: ", text == nullptr ? "unknown error" : text));
}

}  // namespace

absl::Status TlsError(absl::string_view peer, int error, int system_error) {
  const unsigned long first = ERR_peek_error();
  const std::string dropped = TakeOpensslErrors();
  if (error == SSL_ERROR_SSL && first != 0) return LibraryError(peer, first);
  if (error == SSL_ERROR_SYSCALL && system_error != 0) {
    return Fail(Reason::LINK_LOST, FailureOf(FailErrno(system_error, absl::StrCat(peer, ": TLS handshake"))).detail(),
                "does it speak TLS on this port?");
  }
  return Fail(Reason::LINK_LOST, absl::StrCat(peer, " closed the connection in the middle of the TLS handshake"),
              "does it speak TLS on this port?");
}

absl::Status VerificationError(absl::string_view peer, int error, absl::string_view whose) {
  absl::string_view hint;
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      hint = "renew it, or check the clocks of both sides";
      break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      hint = "it is from another CA than the one trusted here: do both belong to one fleet?";
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      hint = "another server answers at this address, or it has another's certificate";
      break;
    default:
      break;
  }
  return Fail(
      Reason::AUTH_FAILED,
      absl::StrCat("the certificate of ", peer, " (", whose, ") is refused: ", X509_verify_cert_error_string(error)),
      hint);
}

}  // namespace certcast
