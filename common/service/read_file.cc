#include "common/service/read_file.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/yaml/secret.h"

namespace certcast {
namespace {

constexpr mode_t kKeyMode = 0600;
constexpr mode_t kPublicMode = 0644;
constexpr size_t kMaxAlias = 64;

struct ContentName {
  absl::string_view name;
  FileContent content;
};

constexpr ContentName kContents[] = {
    {"cert", FileContent::kCertificate},    {"chain", FileContent::kChain},
    {"fullchain", FileContent::kFullchain}, {"private_key", FileContent::kPrivateKey},
    {"combined", FileContent::kCombined},   {"der", FileContent::kDer},
    {"pkcs12", FileContent::kPkcs12},       {"ca", FileContent::kCa},
};

FileContent ReadContent(const yaml::Value& value) {
  std::vector<absl::string_view> words;
  for (const ContentName& known : kContents) words.push_back(known.name);
  const std::string word = value.Word(words);
  for (const ContentName& known : kContents) {
    if (known.name == word) return known.content;
  }
  return kContents[0].content;
}

void CheckMode(const yaml::Value& value, const ServiceFile& file) {
  constexpr mode_t kOthers = 07;
  constexpr mode_t kWritableByGroup = 020;
  constexpr mode_t kWritableByOthers = 02;
  constexpr mode_t kReadableByOwner = 0400;
  if (file.holds_key() && (file.mode & kOthers) != 0) {
    value.FailExpected("permissions without others in them: the file holds the private key",
                       R"(write "0600", or "0640" with the service's group)");
  } else if (file.holds_key() && (file.mode & kWritableByGroup) != 0) {
    value.FailExpected("permissions by which only the owner writes: the file holds the private key",
                       R"(write "0600", or "0640" with the service's group)");
  } else if ((file.mode & kWritableByOthers) != 0) {
    value.FailExpected("permissions by which others do not write", R"(write "0644")");
  } else if ((file.mode & kReadableByOwner) == 0) {
    value.FailExpected("permissions by which the owner reads");
  }
}

// Java lower-cases aliases, and programs take them as words of a command line.
std::string ReadAlias(const yaml::Value& value) {
  std::string alias = value.Text("a name");
  const bool printable = std::all_of(alias.begin(), alias.end(), [](char c) { return absl::ascii_isgraph(c); });
  if (!printable || alias.size() > kMaxAlias) {
    value.FailExpected(absl::StrCat("at most ", kMaxAlias, " letters, digits and punctuation marks, without spaces"));
  }
  return alias;
}

void ReadPkcs12(const yaml::Map& map, const std::string& certificate, Pkcs12Format& format) {
  format.password = yaml::ReadSecretReference(
      map.Require("password", "a pkcs12 file is encrypted: password: {file: /etc/certcast/p12.password}"));
  if (map.Find("encryption").Word({"modern", "legacy"}) == "legacy") {
    format.encryption = Pkcs12Encryption::kLegacy;
  }
  const yaml::Value alias = map.Find("alias");
  format.alias = alias ? ReadAlias(alias) : certificate;
}

void RefusePkcs12Keys(const yaml::Map& map) {
  for (const absl::string_view key : {"password", "encryption", "alias"}) {
    if (const yaml::Value value = map.Find(key)) {
      value.Fail(absl::StrCat("found ", key, " for a file that is not encrypted"), "only content: pkcs12 takes it");
    }
  }
}

}  // namespace

ServiceFile ReadServiceFile(const yaml::Value& value, const std::string& certificate, yaml::FirstSeen& paths) {
  const yaml::Map map = value.ReadMap(
      "a map with path and content",
      {"path", "content", "certificate", "install", "owner", "group", "mode", "password", "encryption", "alias"});
  ServiceFile file;
  file.path = map.Require("path").AbsolutePath();
  if (file.path == "/") map.Find("path").FailExpected("the path of a file");
  paths.Add(file.path, map.Find("path"));
  file.content = ReadContent(map.Require("content"));
  if (const yaml::Value other = map.Find("certificate")) file.certificate = other.Name();
  if (map.Find("install").Word({"link", "copy"}) == "copy") file.install = FileInstall::kCopy;
  file.owner = map.Find("owner").AccountName();
  file.group = map.Find("group").AccountName();
  file.mode = file.holds_key() ? kKeyMode : kPublicMode;
  if (const yaml::Value mode = map.Find("mode")) {
    file.mode = mode.Mode(file.mode);
    CheckMode(mode, file);
  }
  if (file.content == FileContent::kPkcs12) {
    ReadPkcs12(map, file.certificate.empty() ? certificate : file.certificate, file.pkcs12);
  } else {
    RefusePkcs12Keys(map);
  }
  return file;
}

}  // namespace certcast
