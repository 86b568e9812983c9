#include "controller/transport/ssh/known_hosts.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr int kUsualPort = 22;
constexpr size_t kMaxFile = size_t{64} * 1024 * 1024;
constexpr absl::string_view kHashed = "|1|";

// |1|SALT|HMAC-SHA1(SALT, name), both base64.
bool MatchesHashed(absl::string_view hashed, absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(absl::StripPrefix(hashed, kHashed), '|');
  std::string salt;
  std::string hash;
  if (parts.size() != 2 || !absl::Base64Unescape(parts[0], &salt) || !absl::Base64Unescape(parts[1], &hash)) {
    return false;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned int size = 0;
  if (HMAC(EVP_sha1(), salt.data(), static_cast<int>(salt.size()), reinterpret_cast<const unsigned char*>(name.data()),
           name.size(), mac.data(), &size) == nullptr) {
    return false;
  }
  return hash == absl::string_view(reinterpret_cast<const char*>(mac.data()), size);
}

// A list of patterns; one that is negated and matches decides.
bool MatchesNames(absl::string_view names, absl::string_view name) {
  if (absl::StartsWith(names, kHashed)) return MatchesHashed(names, name);
  bool matched = false;
  for (const absl::string_view written : absl::StrSplit(names, ',')) {
    const std::string pattern = absl::AsciiStrToLower(written);
    if (absl::StartsWith(pattern, "!")) {
      if (MatchesHostPattern(absl::string_view(pattern).substr(1), name)) return false;
    } else {
      matched = matched || MatchesHostPattern(pattern, name);
    }
  }
  return matched;
}

struct Line {
  absl::string_view marker;
  absl::string_view names;
  absl::string_view type;
  absl::string_view base64;
};

// False for what is empty or a comment. Fields that are missing are empty.
bool Split(absl::string_view text, Line& line) {
  std::vector<absl::string_view> fields = absl::StrSplit(text, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  if (fields.empty() || absl::StartsWith(fields[0], "#")) return false;
  if (absl::StartsWith(fields[0], "@")) {
    line.marker = fields[0];
    fields.erase(fields.begin());
  }
  fields.resize(3);
  line.names = fields[0];
  line.type = fields[1];
  line.base64 = fields[2];
  return true;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  const std::string doing = absl::StrCat("reading ", path);
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file.valid()) return FailErrno(errno, doing);
  std::string text;
  std::array<char, 16384> bytes;
  while (true) {
    const ssize_t size = read(file.get(), bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno(errno, doing);
    if (size == 0) return text;
    text.append(bytes.data(), static_cast<size_t>(size));
    if (text.size() > kMaxFile) return FailInput(absl::StrCat(path, " is larger than ", kMaxFile, " bytes"));
  }
}

}  // namespace

bool MatchesHostPattern(absl::string_view pattern, absl::string_view name) {
  // After a `*`: where to go on when what follows it does not match.
  size_t star = absl::string_view::npos;
  size_t retry = 0;
  size_t p = 0;
  size_t n = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

const KnownKey* KnownHost::FindKey(const SshPublicKey& key) const {
  for (const std::vector<KnownKey>* list : {&keys, &keys_without_port}) {
    for (const KnownKey& known : *list) {
      if (known.key == key) return &known;
    }
  }
  return nullptr;
}

const KnownKey* KnownHost::FindRevoked(const SshPublicKey& key) const {
  const auto found = std::find_if(revoked.begin(), revoked.end(), [&](const KnownKey& k) { return k.key == key; });
  return found == revoked.end() ? nullptr : &*found;
}

std::vector<std::string> KnownHost::KeyTypes() const {
  std::vector<std::string> types;
  for (const std::vector<KnownKey>* list : {&keys, &keys_without_port}) {
    for (const KnownKey& known : *list) {
      std::string type = known.key.type();
      if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(std::move(type));
    }
  }
  return types;
}

void AddKnownHostLines(absl::string_view text, const std::string& file, KnownHost& known) {
  int number = 0;
  for (const absl::string_view written : absl::StrSplit(text, '\n')) {
    ++number;
    Line line;
    if (!Split(written, line)) continue;
    const bool named = MatchesNames(line.names, known.name);
    const bool host_named = named || (known.name != known.host && MatchesNames(line.names, known.host));
    if (!host_named) continue;
    const std::string place = absl::StrCat(file, ":", number);
    absl::StatusOr<SshPublicKey> key = ParseSshPublicKey(line.type, line.base64);
    if (!key.ok()) {
      known.broken.push_back(absl::StrCat(place, ": ", key.status().message()));
    } else if (line.marker == "@revoked") {
      known.revoked.push_back({*std::move(key), place});
    } else if (line.marker == "@cert-authority") {
      known.authorities.push_back({*std::move(key), place});
    } else if (line.marker.empty()) {
      (named ? known.keys : known.keys_without_port).push_back({*std::move(key), place});
    } else {
      known.broken.push_back(absl::StrCat(place, ": the marker ", line.marker, " is not known"));
    }
  }
}

absl::StatusOr<KnownHost> FindKnownHost(const std::vector<std::string>& files, const HostPort& to) {
  KnownHost known;
  known.host = absl::AsciiStrToLower(to.host);
  known.name = to.port == kUsualPort ? known.host : absl::StrCat("[", known.host, "]:", to.port);
  known.files = files;
  for (const std::string& file : files) {
    absl::StatusOr<std::string> text = ReadWhole(file);
    if (absl::IsNotFound(text.status()) && files.size() > 1) continue;
    RETURN_IF_ERROR(text.status());
    AddKnownHostLines(*text, file, known);
  }
  if (!known.keys.empty()) known.keys_without_port.clear();
  return known;
}

}  // namespace certcast::controller
