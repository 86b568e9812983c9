// Every seed of a target and every file of its corpus, whole, cut off at many places, and changed in many small ways
// that are the same in every run. Arguments: the files of the corpus.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {
namespace {

constexpr size_t kCuts = 64;
constexpr size_t kChanges = 128;

// What gtest asks for before main can hand it over.
std::vector<std::string> corpus_files;

std::string NameOf(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !absl::ascii_isalnum(c); }, '_');
  return name;
}

std::vector<Seed> AllSeeds() {
  std::vector<Seed> seeds = Seeds();
  for (Seed& seed : seeds) seed.name = NameOf(seed.name);
  for (const std::string& path : corpus_files) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (!file.good() && !file.eof()) ADD_FAILURE() << "can't read " << path;
    seeds.push_back({.name = NameOf(path), .bytes = std::move(bytes)});
  }
  return seeds;
}

// A byte set, taken out or put in; a stretch doubled or taken out.
std::string Changed(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t end) {
    return end == 0 ? 0 : std::uniform_int_distribution<size_t>(0, end - 1)(random);
  };
  const size_t at = below(bytes.size());
  const size_t stretch = std::min<size_t>(1 + below(32), bytes.size() - at);
  const char byte = static_cast<char>(below(256));
  switch (bytes.empty() ? 1 : below(5)) {
    case 0:
      bytes[at] = byte;
      break;
    case 1:
      bytes.insert(at, 1, byte);
      break;
    case 2:
      bytes.erase(at, 1);
      break;
    case 3:
      bytes.insert(at, bytes.substr(at, stretch));
      break;
    default:
      bytes.erase(at, stretch);
  }
  return bytes;
}

class CorpusTest : public ::testing::TestWithParam<Seed> {};

TEST_P(CorpusTest, HoldsWhole) {
  TryInput(GetParam().bytes);
}

TEST_P(CorpusTest, HoldsCutOff) {
  const std::string& bytes = GetParam().bytes;
  const size_t step = std::max<size_t>(1, bytes.size() / kCuts);
  for (size_t size = 0; size < bytes.size(); size += step) {
    SCOPED_TRACE(size);
    TryInput(bytes.substr(0, size));
    if (HasFailure()) return;
  }
}

TEST_P(CorpusTest, HoldsChanged) {
  std::mt19937 random;  // the same numbers in every run
  for (size_t i = 0; i < kChanges; ++i) {
    std::string bytes = Changed(GetParam().bytes, random);
    // Every other one is changed further.
    for (size_t more = 0; more < i % 4; ++more) bytes = Changed(std::move(bytes), random);
    SCOPED_TRACE(i);
    TryInput(bytes);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Corpus, CorpusTest, ::testing::ValuesIn(AllSeeds()),
                         [](const ::testing::TestParamInfo<Seed>& info) { return info.param.name; });

}  // namespace

void Require(bool holds, absl::string_view promise) {
  EXPECT_TRUE(holds) << promise;
}

// Printed by gtest instead of the bytes.
void PrintTo(const Seed& seed, std::ostream* out) {
  *out << seed.name;
}

}  // namespace certcast::fuzz

int main(int argc, char** argv) {
  // Before gtest asks for the seeds.
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') certcast::fuzz::corpus_files.emplace_back(argv[i]);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
