#include "common/yaml/first_seen.h"

#include "absl/strings/str_cat.h"
#include "common/yaml/grammar.h"

namespace certcast::yaml {

bool FirstSeen::Add(const std::string& text, const Value& value) {
  if (text.empty()) return true;
  const auto [first, is_new] = seen_.emplace(text, value);
  if (!is_new) {
    value.Fail(
        absl::StrCat("found ", what_, " ", Quoted(text), " a second time; the first is at ", first->second.Where()));
  }
  return is_new;
}

}  // namespace certcast::yaml
