// Whom an SSH host says it is, before anybody is logged in: its certificate, and the known_hosts lines it is held to.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "common/x509/ssl_ptr.h"
#include "controller/transport/ssh/host_certificate.h"
#include "controller/transport/ssh/host_trust.h"
#include "controller/transport/ssh/known_hosts.h"
#include "controller/transport/ssh/public_key.h"
#include "controller/transport/ssh/wire.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {
namespace {

using controller::AppendString;
using controller::CheckHostCertificate;
using controller::CheckHostKey;
using controller::KnownHost;
using controller::KnownKey;
using controller::SshCertificate;
using controller::SshPublicKey;

constexpr char kPeer[] = "web-01 at deploy@web.example.com:22";
constexpr char kHost[] = "web.example.com";
constexpr absl::Time kNow = absl::FromUnixSeconds(1893456000);
constexpr size_t kMaxName = 255;
constexpr size_t kPointBytes = 32;
constexpr size_t kSignatureBytes = 64;

// Of ssh-keygen: a host's key, a host's certificate, a hashed name.
constexpr char kLine[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM6I02tzXhy2yUg6Hsi9QzOVwNmKYg6mWc/nHafpT48B";
constexpr char kEcdsaLine[] =
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBC7DxmKANpI7wcgTRTYeRBeWHLE6SJDNYHHrC06z+"
    "lljPrkl9xGhV33j0VERiHz7+kjeKUY/3jPvSESaqu1eUl0=";
constexpr char kCertificate[] =
    "AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAg8TL+JiOOcARSKOJVviWlIAU5Ic7T9jo6Rp1Ry6s65X8AAAAIbm"
    "lzdHAyNTYAAABBBC7DxmKANpI7wcgTRTYeRBeWHLE6SJDNYHHrC06z+lljPrkl9xGhV33j0VERiHz7+kjeKUY/3jPvSESaqu1eUl0AAAAAAAAAAAAA"
    "AAIAAAACaWQAAAAaAAAAD3dlYi5leGFtcGxlLmNvbQAAAAMqLmIAAAAAXgvhAAAAAACDqn6AAAAAAAAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQ"
    "AAACDGRj9JTLwRKViVxIDJ8Wqqs4udxhC8GG0D86Dz08ezMwAAAFMAAAALc3NoLWVkMjU1MTkAAABAofBBVKNPLwya+bzCYmVkxYpjcMoub1rVaNni"
    "QrxT9Mxdjv9RfN/ERka26PPniYfX/zQ2KaoqALSl1lhly83iDQ==";
constexpr char kHashed[] = "|1|bO6UNAkKdjI+7ADZg9RJ+PpdOoY=|wZWqhlwihqE15c2FBi6RlLGRDG4=";

// An authority whose key is no secret, so that certificates can be signed again after a change.
class Authority {
 public:
  Authority() {
    std::array<unsigned char, kPointBytes> seed;
    seed.fill(7);
    key_.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
    std::string point(kPointBytes, '\0');
    size_t size = point.size();
    if (key_ == nullptr || EVP_PKEY_get_raw_public_key(key_.get(), Bytes(point), &size) != 1) std::abort();
    AppendString(public_.blob, "ssh-ed25519");
    AppendString(public_.blob, point);
  }

  const SshPublicKey& key() const { return public_; }

  // The certificate as this authority would have made it.
  std::string Sign(const SshCertificate& certificate) const {
    std::string blob = certificate.signed_part;
    blob.resize(blob.size() - certificate.authority.blob.size() - sizeof(uint32_t));
    AppendString(blob, public_.blob);
    std::string raw(kSignatureBytes, '\0');
    size_t size = raw.size();
    const SslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), Bytes(raw), &size, Bytes(blob), blob.size()) != 1) {
      std::abort();
    }
    std::string signature;
    AppendString(signature, "ssh-ed25519");
    AppendString(signature, raw);
    AppendString(blob, signature);
    return blob;
  }

 private:
  static unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

  SslPtr<EVP_PKEY> key_;
  SshPublicKey public_;
};

const Authority& Ours() {
  static const Authority& authority = *new Authority();
  return authority;
}

KnownHost Named(absl::string_view name, bool port) {
  KnownHost known;
  known.host = absl::AsciiStrToLower(name);
  known.name = port ? absl::StrCat("[", known.host, "]:2222") : known.host;
  known.files = {"/etc/certcast/known_hosts"};
  return known;
}

absl::Status Check(const SshPublicKey& shown, const std::optional<SshCertificate>& certificate,
                   const KnownHost& known) {
  absl::Status status = CheckHostKey(shown, certificate, known, kPeer, kNow);
  RequireOrderly(status);
  const Reason::Code reason = ReasonOf(status);
  Require(status.ok() || reason == Reason::HOST_KEY_UNKNOWN || reason == Reason::HOST_KEY_CHANGED,
          "a host that is not believed is unknown or changed");
  return status;
}

// The same question, asked of each pair of beginnings.
bool Matches(absl::string_view pattern, absl::string_view name) {
  std::vector<bool> row(name.size() + 1, false);
  row[0] = true;
  for (const char c : pattern) {
    std::vector<bool> next(name.size() + 1, false);
    for (size_t n = 0; n <= name.size(); ++n) {
      next[n] = c == '*' ? row[n] || (n > 0 && next[n - 1]) : n > 0 && row[n - 1] && (c == '?' || c == name[n - 1]);
    }
    row = next;
  }
  return row.back();
}

// What a certificate that is believed must be, with an authority that is known.
void RequireBelievable(const SshCertificate& certificate, const KnownHost& known) {
  Require(certificate.authority == Ours().key(), "who signed is an authority");
  Require(certificate.kind == SshCertificate::Kind::kHost, "a user's certificate makes no host");
  Require(certificate.valid_after <= kNow && kNow < certificate.valid_before, "a certificate has its time");
  Require(certificate.critical_options.empty(), "what is critical and not known is refused");
  Require(std::any_of(certificate.principals.begin(), certificate.principals.end(),
                      [](const std::string& p) { return Matches(absl::AsciiStrToLower(p), kHost); }),
          "a certificate names the host");
  for (std::string SshCertificate::*part : {&SshCertificate::signed_part, &SshCertificate::signature}) {
    for (const bool last : {false, true}) {
      SshCertificate forged = certificate;
      std::string& bytes = forged.*part;
      bytes[last ? bytes.size() - 1 : bytes.size() / 2] ^= 1;
      Require(!CheckHostCertificate(forged, known, kNow).ok(), "every byte is signed");
    }
  }
  SshCertificate other = certificate;
  other.key.blob += 'x';
  Require(!Check(certificate.key, other, known).ok(), "a certificate for another key is no help");
}

void TryParsed(absl::string_view blob, const SshCertificate& certificate) {
  std::string again = certificate.signed_part;
  AppendString(again, certificate.signature);
  Require(again == blob, "what was signed is all but the signature");
  Require(!controller::ParseSshCertificate(blob.substr(0, blob.size() - 1)).ok() &&
              !controller::ParseSshCertificate(absl::StrCat(blob, "x")).ok(),
          "a certificate ends where it ends");
  KnownHost known = Named(kHost, /*port=*/false);
  Require(!Check(certificate.key, certificate, known).ok(), "nobody is believed for a certificate alone");
  known.authorities.push_back({Ours().key(), "F:1"});
  // As they came, the fuzzer may have made them with our authority.
  for (const bool itself : {false, true}) {
    if (itself) known.authorities.push_back({certificate.authority, "F:2"});
    const absl::Status good = CheckHostCertificate(certificate, known, kNow);
    RequireOrderly(good);
    Require(good.ok() || ReasonOf(good) == Reason::AUTH_FAILED, "a certificate that is not good is AUTH_FAILED");
    Require(Check(certificate.key, certificate, known).ok() == good.ok(), "a good certificate makes its key known");
    if (good.ok() && !itself) RequireBelievable(certificate, known);
  }
}

void TryCertificate(absl::string_view input) {
  const absl::StatusOr<SshCertificate> certificate = controller::ParseSshCertificate(input);
  RequireOrderly(certificate.status());
  if (!certificate.ok()) {
    Require(ReasonOf(certificate.status()) == Reason::MALFORMED, "what is no certificate is MALFORMED");
    return;
  }
  TryParsed(input, *certificate);
  const std::string resigned = Ours().Sign(*certificate);
  const absl::StatusOr<SshCertificate> ours = controller::ParseSshCertificate(resigned);
  Require(ours.ok(), "a certificate that is signed again is one");
  TryParsed(resigned, *ours);
}

void TryPublicKey(const SshPublicKey& key, absl::string_view message) {
  const auto again = controller::ParseSshPublicKey(key.type(), absl::Base64Escape(key.blob));
  Require(again.ok() && *again == key, "a key's line is read as the same key");
  RequireOrderly(controller::VerifySshSignature(key, message, message));
}

size_t Lines(const KnownHost& known) {
  return known.keys.size() + known.keys_without_port.size() + known.authorities.size() + known.revoked.size() +
         known.broken.size();
}

// A byte for the port, the host's name, the file.
void TryKnownHosts(absl::string_view input) {
  InputReader reader(input);
  const bool port = (reader.Byte() & 1) != 0;
  const std::string name(reader.Piece().substr(0, kMaxName));
  const absl::string_view text = reader.Rest();
  KnownHost known = Named(name, port);
  controller::AddKnownHostLines(text, "F", known);
  RequireOrderly(absl::OkStatus());
  Require(Lines(known) <= static_cast<size_t>(1 + std::count(text.begin(), text.end(), '\n')), "a line says one thing");
  KnownHost in_parts = Named(name, port);
  const size_t first = std::min(text.find('\n'), text.size());
  controller::AddKnownHostLines(text.substr(0, first), "F", in_parts);
  controller::AddKnownHostLines(text.substr(std::min(first + 1, text.size())), "F", in_parts);
  Require(Lines(in_parts) == Lines(known), "each line stands for itself");

  for (const std::vector<KnownKey>* list : {&known.keys, &known.keys_without_port, &known.authorities}) {
    for (const KnownKey& each : *list) {
      TryPublicKey(each.key, text);
      const bool revoked = known.FindRevoked(each.key) != nullptr;
      if (list != &known.authorities) {
        Require(Check(each.key, std::nullopt, known).ok() == !revoked, "a key that is known and not revoked is good");
      }
    }
  }
  for (const KnownKey& each : known.revoked) {
    Require(!Check(each.key, std::nullopt, known).ok(), "a key that is revoked is not believed");
  }
  const bool ours_known = known.FindKey(Ours().key()) != nullptr && known.FindRevoked(Ours().key()) == nullptr;
  Require(Check(Ours().key(), std::nullopt, known).ok() == ours_known, "who is not known is not believed");
}

// A pattern, then a name.
void TryPattern(absl::string_view input) {
  InputReader reader(input);
  const absl::string_view pattern = reader.Piece().substr(0, kMaxName);
  const absl::string_view name = reader.Rest().substr(0, kMaxName);
  Require(controller::MatchesHostPattern(pattern, name) == Matches(pattern, name), "patterns match as they say");
}

std::string KnownHostsSeed(bool port, absl::string_view text) {
  return absl::StrCat("k", std::string(1, port ? '\1' : '\0'), PieceOf(kHost), text);
}

}  // namespace

// The first byte says what follows.
std::vector<Seed> Seeds() {
  std::string certificate;
  absl::Base64Unescape(kCertificate, &certificate);
  return {
      {.name = "certificate", .bytes = absl::StrCat("c", certificate)},
      {.name = "known-hosts",
       .bytes =
           KnownHostsSeed(false, absl::StrCat("# mine\n\n", kHost, ",10.0.0.1 ", kLine, " a comment\n*.example.com,",
                                              "!web.example.com ", kEcdsaLine, "\nweb? ssh-rsa !\n"))},
      {.name = "known-hosts-hashed", .bytes = KnownHostsSeed(false, absl::StrCat(kHashed, " ", kLine, "\r\n"))},
      {.name = "known-hosts-markers",
       .bytes = KnownHostsSeed(true, absl::StrCat("@cert-authority *.example.com ", kLine, "\n@revoked\t* ", kEcdsaLine,
                                                  "\n@other * ", kLine, "\n[", kHost, "]:2222 ", kEcdsaLine, "\n"))},
      {.name = "pattern", .bytes = absl::StrCat("p", PieceOf("*.ex?mple.*"), "www.example.com")},
  };
}

void TryInput(absl::string_view input) {
  if (input.empty()) return;
  const absl::string_view rest = input.substr(1);
  switch (input.front()) {
    case 'c':
      return TryCertificate(rest);
    case 'k':
      return TryKnownHosts(rest);
    default:
      return TryPattern(rest);
  }
}

}  // namespace certcast::fuzz
