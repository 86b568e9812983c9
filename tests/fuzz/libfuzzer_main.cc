// Links a target with libFuzzer.
//   FUZZER --write-seeds=DIRECTORY   writes the target's seeds, one a file, and ends
//   FUZZER [OPTION...] CORPUS...     as libFuzzer has it
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "google/protobuf/stubs/logging.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {

void Require(bool holds, absl::string_view promise) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", std::string(promise).c_str());
  std::abort();
}

namespace {

[[noreturn]] void WriteSeeds(absl::string_view directory) {
  bool written = true;
  for (const Seed& seed : Seeds()) {
    std::ofstream file(absl::StrCat(directory, "/seed-", seed.name), std::ios::binary);
    file << seed.bytes;
    file.close();
    written = written && file.good();
  }
  if (!written) std::fprintf(stderr, "the seeds can't be written to %s\n", std::string(directory).c_str());
  std::exit(written ? 0 : 1);
}

}  // namespace
}  // namespace certcast::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  // A line for each text that is not UTF-8 would be most of the output.
  google::protobuf::SetLogHandler(nullptr);
  for (int i = 1; i < *argc; ++i) {
    absl::string_view argument = (*argv)[i];
    if (absl::ConsumePrefix(&argument, "--write-seeds=")) certcast::fuzz::WriteSeeds(argument);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  certcast::fuzz::TryInput(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
