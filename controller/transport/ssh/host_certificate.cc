#include "controller/transport/ssh/host_certificate.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/clock/show_utc.h"
#include "common/status/status.h"
#include "controller/transport/ssh/wire.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kTypeSuffix = "-cert-v01@openssh.com";

// Of strings that stand in the key of this type; -1 for one that is not known.
int FieldsOf(absl::string_view type) {
  if (type == "ssh-ed25519") return 1;
  if (type == "ssh-rsa" || type == "ecdsa-sha2-nistp256" || type == "ecdsa-sha2-nistp384" ||
      type == "ecdsa-sha2-nistp521") {
    return 2;
  }
  return -1;
}

std::vector<std::string> ReadStrings(absl::string_view bytes, bool& ok) {
  WireReader reader(bytes);
  std::vector<std::string> strings;
  while (reader.ok() && !reader.done()) strings.emplace_back(reader.ReadString());
  ok = ok && reader.ok();
  return strings;
}

absl::Time ToTime(uint64_t seconds) {
  if (seconds > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return absl::InfiniteFuture();
  return absl::FromUnixSeconds(static_cast<int64_t>(seconds));
}

absl::Status Bad(absl::string_view what) {
  return Fail(Reason::AUTH_FAILED, absl::StrCat("the host certificate ", what));
}

}  // namespace

absl::StatusOr<SshCertificate> ParseSshCertificate(absl::string_view blob) {
  WireReader reader(blob);
  absl::string_view type = reader.ReadString();
  if (!absl::ConsumeSuffix(&type, kTypeSuffix) || FieldsOf(type) < 0) {
    return Fail(Reason::MALFORMED, absl::StrCat("it is no certificate, or of a type that is not supported: ", type));
  }
  SshCertificate certificate;
  (void)reader.ReadString();  // the nonce
  AppendString(certificate.key.blob, type);
  for (int i = 0; i < FieldsOf(type); ++i) AppendString(certificate.key.blob, reader.ReadString());
  certificate.serial = reader.ReadUint64();
  const uint32_t kind = reader.ReadUint32();
  certificate.kind = kind == 1   ? SshCertificate::Kind::kUser
                     : kind == 2 ? SshCertificate::Kind::kHost
                                 : SshCertificate::Kind::kOther;
  certificate.key_id = std::string(reader.ReadString());
  bool ok = true;
  certificate.principals = ReadStrings(reader.ReadString(), ok);
  certificate.valid_after = ToTime(reader.ReadUint64());
  certificate.valid_before = ToTime(reader.ReadUint64());
  // Pairs of a name and its data.
  const std::vector<std::string> options = ReadStrings(reader.ReadString(), ok);
  for (size_t i = 0; i < options.size(); i += 2) certificate.critical_options.push_back(options[i]);
  (void)reader.ReadString();  // extensions: those that are not known are to be ignored
  (void)reader.ReadString();  // reserved
  certificate.authority.blob = std::string(reader.ReadString());
  certificate.signed_part = std::string(blob.substr(0, blob.size() - reader.rest().size()));
  certificate.signature = std::string(reader.ReadString());
  if (!ok || !reader.done()) return Fail(Reason::MALFORMED, "the certificate does not parse");
  return certificate;
}

absl::Status CheckHostCertificate(const SshCertificate& certificate, const KnownHost& known, absl::Time now) {
  const SshPublicKey& authority = certificate.authority;
  const bool trusted = std::any_of(known.authorities.begin(), known.authorities.end(),
                                   [&](const KnownKey& ca) { return ca.key == authority; });
  if (!trusted) return Bad(absl::StrCat("is signed by ", authority.Fingerprint(), ", which is no authority for it"));
  if (const KnownKey* revoked = known.FindRevoked(authority); revoked != nullptr) {
    return Bad(absl::StrCat("is signed by ", authority.Fingerprint(), ", which is revoked at ", revoked->place));
  }
  absl::Status verified = VerifySshSignature(authority, certificate.signed_part, certificate.signature);
  if (!verified.ok()) return Annotate(std::move(verified), "the host certificate");
  if (certificate.kind != SshCertificate::Kind::kHost) return Bad("is not one for hosts");
  if (now < certificate.valid_after) return Bad(absl::StrCat("is not valid before ", ShowUtc(certificate.valid_after)));
  if (now >= certificate.valid_before) return Bad(absl::StrCat("expired ", ShowUtc(certificate.valid_before)));
  if (!certificate.critical_options.empty()) {
    return Bad(absl::StrCat("has critical options: ", absl::StrJoin(certificate.critical_options, ", ")));
  }
  const bool named = std::any_of(
      certificate.principals.begin(), certificate.principals.end(),
      [&](const std::string& pattern) { return MatchesHostPattern(absl::AsciiStrToLower(pattern), known.host); });
  if (!named) {
    return Bad(absl::StrCat("is for ", certificate.principals.empty() ? "no host at all" : "",
                            absl::StrJoin(certificate.principals, ", "), ", not for ", known.host));
  }
  return absl::OkStatus();
}

}  // namespace certcast::controller
