// A directory for one run of a benchmark, on the disk that is to be measured.
#ifndef CERTCAST_TESTS_BENCH_WORK_FOLDER_H_
#define CERTCAST_TESTS_BENCH_WORK_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::bench {

// 0700, with a path of its own; removed with all in it when destroyed.
class WorkFolder {
 public:
  // Below `parent`; empty: below $TMPDIR, or /tmp.
  static absl::StatusOr<std::unique_ptr<WorkFolder>> Make(const std::string& parent) {
    std::error_code error;
    const std::filesystem::path asked =
        parent.empty() ? std::filesystem::temp_directory_path(error) : std::filesystem::path(parent);
    const std::filesystem::path below = std::filesystem::canonical(asked, error);
    std::string path = (below / "certcast-bench.XXXXXX").string();
    if (error || mkdtemp(path.data()) == nullptr)
      return FailInput(absl::StrCat("can't make a directory in ", asked.string()));
    return std::unique_ptr<WorkFolder>(new WorkFolder(std::move(path)));
  }
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_WORK_FOLDER_H_
