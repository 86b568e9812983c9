#include "common/yaml/secret.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace certcast::yaml {
namespace {

constexpr absl::string_view kExpected = "exactly one of {file: PATH}, {env: NAME} and {credential: NAME}";
constexpr size_t kMaxName = 255;

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

bool IsVariable(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), IsNameCharacter);
}

// One component of a path (systemd.exec(5)).
bool IsCredential(const std::string& name) {
  const auto allowed = [](char c) { return IsNameCharacter(c) || c == '.' || c == '-'; };
  return !name.empty() && name.size() <= kMaxName && name[0] != '.' && std::all_of(name.begin(), name.end(), allowed);
}

SecretReference ReadNamed(const Value& name, SecretReference::Kind kind, bool (*valid)(const std::string&),
                          absl::string_view what) {
  if (name.is_text() && valid(name.Text())) return {.kind = kind, .name = name.Text()};
  name.Fail(absl::StrCat("expected the name of ", what, ": letters, digits and _",
                         kind == SecretReference::Kind::kCredential ? " . -" : ""),
            "what was found is not shown: it may be the secret");
  return {};
}

}  // namespace

SecretReference ReadSecretReference(const Value& value) {
  if (!value) return {};
  if (!value.is_map()) {
    value.Fail(absl::StrCat("expected ", kExpected), "secrets never stand in the configuration");
    return {};
  }
  const std::vector<Value> entries = value.Entries(kExpected);
  if (entries.size() == 1) {
    const Value& only = entries.front();
    if (only.key() == "file") {
      const std::string path = only.Path();
      return path.empty() ? SecretReference{} : SecretReference{.kind = SecretReference::Kind::kFile, .name = path};
    }
    if (only.key() == "env") {
      return ReadNamed(only, SecretReference::Kind::kEnvironment, IsVariable, "an environment variable");
    }
    if (only.key() == "credential") {
      return ReadNamed(only, SecretReference::Kind::kCredential, IsCredential, "a credential");
    }
  }
  value.Fail(absl::StrCat("expected ", kExpected));
  return {};
}

}  // namespace certcast::yaml
