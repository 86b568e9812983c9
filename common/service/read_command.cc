#include <utility>

#include "common/service/read.h"

namespace certcast {
namespace {

constexpr absl::string_view kArgv = "a list of words such as [nginx, -s, reload]";
constexpr size_t kMaxWords = 64;
constexpr size_t kMaxWord = 4096;
constexpr size_t kMaxLine = 16'384;
constexpr absl::Duration kLeastTimeout = absl::Milliseconds(100);
constexpr absl::Duration kMostTimeout = absl::Hours(1);

std::string ReadWord(const yaml::Value& value) {
  std::string word = value.Text("a word");
  if (word.size() > kMaxWord) value.Fail("found more than 4096 characters, expected a shorter word");
  return word;
}

}  // namespace

std::vector<std::string> ReadArgv(const yaml::Value& list) {
  if (list && !list.is_list()) {
    list.FailExpected(kArgv);
    return {};
  }
  std::vector<std::string> argv;
  const std::vector<yaml::Value> words = list.Items(kArgv, 1, kMaxWords);
  for (const yaml::Value& word : words) argv.push_back(ReadWord(word));
  if (!argv.empty() && argv[0].find('/') != std::string::npos) argv[0] = words[0].Path();
  return argv;
}

std::vector<std::string> ReadShellLine(const yaml::Value& line) {
  std::string text = line.Text("a shell line");
  if (text.size() > kMaxLine) line.Fail("found more than 16384 characters, expected a shorter line");
  return {"/bin/sh", "-c", std::move(text)};
}

ServiceCommand ReadCommand(const yaml::Value& value) {
  ServiceCommand command;
  if (!value) return command;
  if (value.is_list()) {
    command.argv = ReadArgv(value);
    return command;
  }
  if (!value.is_map()) {
    value.FailExpected(kArgv, "for a shell line write {sh: \"...\"}");
    return command;
  }
  const yaml::Map map = value.ReadMap("a command", {"run", "sh", "timeout"});
  const yaml::Value what = map.RequireOneOf({"run", "sh"});
  if (what && what.key() == "run") command.argv = ReadArgv(what);
  if (what && what.key() == "sh") command.argv = ReadShellLine(what);
  command.timeout = map.Find("timeout").Duration(kLeastTimeout, kMostTimeout, command.timeout);
  return command;
}

}  // namespace certcast
