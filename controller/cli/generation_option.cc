#include "controller/cli/generation_option.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace certcast::controller::cli {
namespace {

// Empty: it is one.
std::string WhyNoGeneration(const std::string& text) {
  uint64_t number = 0;
  if (absl::SimpleAtoi(text, &number) && number > 0) return "";
  return absl::StrCat("\"", text, "\" is no generation: they are counted from 1");
}

}  // namespace

CLI::Option* AddGenerationOption(CLI::App& verb, uint64_t& generation, const std::string& description) {
  return verb.add_option("--generation", generation, description)->check(CLI::Validator(WhyNoGeneration, "NUMBER"));
}

}  // namespace certcast::controller::cli
