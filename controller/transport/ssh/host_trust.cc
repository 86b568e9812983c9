#include "controller/transport/ssh/host_trust.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

// A hint holds 1 KiB: a longer line would be cut, and be worth nothing.
constexpr size_t kLongestLine = 800;

std::string Describe(const SshPublicKey& key) {
  return absl::StrCat(key.type(), " ", key.Fingerprint());
}

std::string HowToAdd(const SshPublicKey& shown, const KnownHost& known) {
  const std::string file = known.files.empty() ? "known_hosts" : known.files.front();
  const std::string line = absl::StrCat(known.name, " ", shown.ToLine());
  if (line.size() <= kLongestLine) {
    return absl::StrCat("compare the fingerprint with `ssh-keygen -lf` of the host's own key, then add to ", file, ": ",
                        line);
  }
  return absl::StrCat(
      "compare the fingerprint with `ssh-keygen -lf` of the host's own key, then add what `ssh-keyscan` ",
      "prints for ", known.name, " and that type of key to ", file);
}

absl::Status Unknown(const SshPublicKey& shown, const absl::Status& certificate, const KnownHost& known,
                     const std::string& peer) {
  std::string detail =
      absl::StrCat(peer, " showed a host key that is not in ",
                   known.files.empty() ? "any known_hosts" : absl::StrJoin(known.files, ", "), ": ", Describe(shown));
  if (!certificate.ok()) absl::StrAppend(&detail, "; ", certificate.message());
  for (const std::string& broken : known.broken) absl::StrAppend(&detail, "; ", broken);
  return Fail(Reason::HOST_KEY_UNKNOWN, detail, HowToAdd(shown, known));
}

absl::Status Changed(const SshPublicKey& shown, const KnownHost& known, const std::string& peer) {
  const std::string old = absl::StrJoin(known.keys, ", ", [](std::string* out, const KnownKey& key) {
    absl::StrAppend(out, Describe(key.key), " at ", key.place);
  });
  return Fail(
      Reason::HOST_KEY_CHANGED,
      absl::StrCat(peer, " showed another host key than it should: ", Describe(shown), ", not ", old),
      absl::StrCat("somebody may be in between. Was the host set up anew, and is that its fingerprint? Then put "
                   "this in place of ",
                   known.keys.size() == 1 ? "the old line: " : "all of the old lines: ", known.name, " ",
                   shown.ToLine()));
}

}  // namespace

absl::Status CheckHostKey(const SshPublicKey& shown, const std::optional<SshCertificate>& certificate,
                          const KnownHost& known, const std::string& peer, absl::Time now) {
  if (const KnownKey* revoked = known.FindRevoked(shown); revoked != nullptr) {
    return Fail(Reason::HOST_KEY_CHANGED,
                absl::StrCat(peer, " showed a host key that is revoked at ", revoked->place, ": ", Describe(shown)),
                "it may be in other hands: the host needs a new one");
  }
  if (known.FindKey(shown) != nullptr) return absl::OkStatus();
  absl::Status vouched;
  if (certificate.has_value()) {
    vouched = CheckHostCertificate(*certificate, known, now);
    if (vouched.ok() && certificate->key == shown) return absl::OkStatus();
    if (vouched.ok()) vouched = Fail(Reason::AUTH_FAILED, "its host certificate is for another key");
  } else if (!known.authorities.empty()) {
    vouched = Fail(Reason::AUTH_FAILED, "it has no host certificate");
  }
  return known.keys.empty() ? Unknown(shown, vouched, known, peer) : Changed(shown, known, peer);
}

}  // namespace certcast::controller
