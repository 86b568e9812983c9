// A directory of the machine's own for one test.
#ifndef CERTCAST_TESTS_TESTING_TEMPORARY_DIRECTORY_H_
#define CERTCAST_TESTS_TESTING_TEMPORARY_DIRECTORY_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace certcast::testing {

// Made, 0700, below $TEST_TMPDIR; removed with all in it when destroyed. Its path is canonical.
class TemporaryDirectory {
 public:
  // For sockets, whose paths are at most 107 characters: $TEST_TMPDIR alone may be longer.
  static TemporaryDirectory Short() { return TemporaryDirectory("/tmp"); }

  TemporaryDirectory() : TemporaryDirectory(::testing::TempDir()) {}
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(const std::string& below) {
    std::string name = std::filesystem::canonical(below).string() + "/certcast.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    path_ = name;
  }

  std::string path_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_TEMPORARY_DIRECTORY_H_
