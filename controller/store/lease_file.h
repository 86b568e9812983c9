// One process at a time: flock(2) on a file whose text names the holder.
#ifndef CERTCAST_CONTROLLER_STORE_LEASE_FILE_H_
#define CERTCAST_CONTROLLER_STORE_LEASE_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::controller {

// Held from Take until destroyed. The kernel gives it back when the process ends, however it ends; a program that this
// process runs does not inherit it. The file stays.
class LeaseFile {
 public:
  // Makes the file (0600) where it is missing. kUnavailable (BUSY) with the holder's text when it is held, by this
  // process too. `holder`: one line, as in `certcast apply`; longer than 256 bytes it is cut.
  static absl::StatusOr<LeaseFile> Take(const std::string& path, absl::string_view holder, absl::Time since);

  LeaseFile(LeaseFile&& other) noexcept;
  LeaseFile& operator=(LeaseFile&&) = delete;
  ~LeaseFile();

 private:
  explicit LeaseFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_LEASE_FILE_H_
