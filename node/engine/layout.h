// Where things are in the state directory, and what files are called there.
//
//   <state>/lock                                          see lock.h
//   <state>/journal.0, journal.1, state.0, state.1        see reserved_record.h
//   <state>/certificates/<certificate>/current            -> generations/<directory>
//   <state>/certificates/<certificate>/back               -> generations/<directory>, made before a switch: see
//   activate.h <state>/certificates/<certificate>/generations/<directory>/.record
//   <state>/certificates/<certificate>/generations/<directory>/<service>/<file>
//
// The paths that services read are links to <state>/certificates/<certificate>/current/<service>/<file>, so one rename
// of `current` moves all of them. Files of `install: copy` hold what is there: see copies.h.
#ifndef CERTCAST_NODE_ENGINE_LAYOUT_H_
#define CERTCAST_NODE_ENGINE_LAYOUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/file/file_system.h"
#include "common/service/service.h"

namespace certcast::node {

inline constexpr char kCurrentLink[] = "current";
inline constexpr char kBackLink[] = "back";
inline constexpr char kRecordFile[] = ".record";

class Layout {
 public:
  // Absolute, without a slash at its end.
  explicit Layout(std::string state);

  const std::string& state() const { return state_; }
  // <state>/certificates/<certificate>
  std::string Certificate(absl::string_view certificate) const;
  std::string Generations(absl::string_view certificate) const;
  std::string Generation(absl::string_view certificate, absl::string_view directory) const;
  // What the path of `file` links to.
  std::string LinkTarget(const Service& service, const ServiceFile& file) const;

 private:
  std::string state_;
};

// The state directory of a LinkTarget, whoever's it is; nullopt: it is none.
std::optional<std::string> StateOfLinkTarget(absl::string_view target);

// What `current` and `back` hold, relative to their own directory, and the directory it names; nullopt when it is not
// one of ours.
std::string GenerationLink(absl::string_view directory);
std::optional<std::string> ParseGenerationLink(absl::string_view target);

// `7`, or `7.2` for the third directory of generation 7.
std::string GenerationDirectoryName(uint64_t generation, uint64_t copy);
std::optional<std::pair<uint64_t, uint64_t>> ParseGenerationDirectoryName(absl::string_view name);

// The file's name in the service's directory: the last part of its path where no other file of the service has the
// same, else the whole path. `/` is written as %2F and `%` as %25, so the two forms never meet. The order of the
// configuration does not matter. Where a file that is added makes the name of another one ambiguous, that one's link
// changes with the next install (see adopt.h).
std::string FileNameOf(const Service& service, const ServiceFile& file);

// Of directories in the state: services that are not root must get through them; what is secret has its own mode.
FileAttributes DirectoryAttributes();
// Of the engine's own files.
FileAttributes PrivateFileAttributes();

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_LAYOUT_H_
