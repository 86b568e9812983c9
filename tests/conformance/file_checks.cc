#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

namespace fs = std::filesystem;

using testing::IssuedCertificate;

absl::StatusOr<struct stat> StatOf(const std::string& path, bool follow) {
  struct stat found;
  if ((follow ? stat(path.c_str(), &found) : lstat(path.c_str(), &found)) != 0) return FailErrno(errno, path);
  return found;
}

// Makes a new generation the confirmed one.
absl::Status InstallAndConfirm(Examiner& examiner, const IssuedCertificate& issued, uint64_t generation) {
  ASSIGN_OR_RETURN(const v1::InstallResult installed, examiner.Change(examiner.NewInstall(issued, generation)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(installed, "INSTALLED"));
  ASSIGN_OR_RETURN(const v1::InstallResult confirmed, examiner.Change(examiner.NewConfirm(issued, generation)));
  return Examiner::ExpectOutcome(confirmed, "INSTALLED");
}

absl::Status HaveTheirModes(Examiner& examiner) {
  // The node's user is who its state belongs to; without an owner in the configuration a file is his too.
  ASSIGN_OR_RETURN(const struct stat state, StatOf(examiner.site().state(), /*follow=*/true));
  for (const DeclaredFile& file : kDeclaredFiles) {
    const std::string path = examiner.service().FilePath(file.name);
    ASSIGN_OR_RETURN(const struct stat found, StatOf(path, /*follow=*/true));
    RETURN_IF_ERROR(Expect((found.st_mode & 07777) == file.mode,
                           absl::StrFormat("%s is %04o, not %04o", path, found.st_mode & 07777, file.mode)));
    RETURN_IF_ERROR(Expect(found.st_uid == state.st_uid,
                           absl::StrFormat("%s belongs to %d, not %d", path, found.st_uid, state.st_uid)));
  }
  return absl::OkStatus();
}

// What a link or file itself is: its inode, and where it leads.
absl::StatusOr<std::string> IdentityOf(const std::string& path) {
  ASSIGN_OR_RETURN(const struct stat found, StatOf(path, /*follow=*/false));
  std::error_code error;
  const std::string target = S_ISLNK(found.st_mode) ? fs::read_symlink(path, error).string() : "";
  return absl::StrCat(found.st_ino, " ", found.st_ctim.tv_sec, ".", found.st_ctim.tv_nsec, " ", target);
}

absl::Status HaveTheirShape(Examiner& examiner) {
  for (const DeclaredFile& file : kDeclaredFiles) {
    const std::string path = examiner.service().FilePath(file.name);
    RETURN_IF_ERROR(
        Expect(examiner.service().IsLink(file.name) == !file.is_copy,
               absl::StrCat(path, file.is_copy ? " is no regular file" : " is not a link into the node's state")));
    std::error_code error;
    const std::string real = fs::canonical(path, error).string();
    const std::string home = file.is_copy ? path : examiner.site().state() + "/";
    RETURN_IF_ERROR(Expect(absl::StartsWith(real, home), absl::StrCat(path, " leads to ", real)));
  }
  return absl::OkStatus();
}

absl::Status AreFlippedAtOnce(Examiner& examiner) {
  std::map<std::string, std::string> before;
  for (const DeclaredFile& file : kDeclaredFiles) {
    if (file.is_copy) continue;
    ASSIGN_OR_RETURN(before[file.name], IdentityOf(examiner.service().FilePath(file.name)));
  }
  RETURN_IF_ERROR(InstallAndConfirm(examiner, examiner.site().Issue(), examiner.NextGeneration()));
  for (const auto& [name, identity] : before) {
    ASSIGN_OR_RETURN(const std::string now, IdentityOf(examiner.service().FilePath(name)));
    RETURN_IF_ERROR(Expect(now == identity, absl::StrCat(name, " is a new link, where one flip would do")));
  }
  return absl::OkStatus();
}

// <state>/certificates/<name>/generations/<n>, as design 5 has it.
absl::StatusOr<std::set<std::string>> Generations(Examiner& examiner) {
  const std::string folder = absl::StrCat(examiner.site().state(), "/certificates/", kCertificate, "/generations");
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    names.insert(entry->path().filename().string());
  }
  if (error) return absl::UnimplementedError(absl::StrCat(folder, " can't be seen: ", error.message()));
  return names;
}

absl::Status ArePruned(Examiner& examiner) {
  std::vector<uint64_t> installed;
  for (int i = 0; i < kKeep + 2; ++i) {
    installed.push_back(examiner.NextGeneration());
    RETURN_IF_ERROR(InstallAndConfirm(examiner, examiner.site().Issue(), installed.back()));
  }
  ASSIGN_OR_RETURN(const std::set<std::string> kept, Generations(examiner));
  const std::set<std::string> wanted = {absl::StrCat(installed.end()[-1]), absl::StrCat(installed.end()[-2]),
                                        absl::StrCat(installed.end()[-3])};
  static_assert(kKeep == 2);
  return ExpectSame("the kept generations", absl::StrJoin(kept, " "), absl::StrJoin(wanted, " "));
}

absl::Status LeaveNothingWhenItFails(Examiner& examiner) {
  ASSIGN_OR_RETURN(const std::set<std::string> before, Generations(examiner));
  v1::Bundle bundle = examiner.Bundle(examiner.site().Issue(), examiner.NextGeneration());
  (*bundle.mutable_signature())[10] ^= 1;
  RETURN_IF_ERROR(examiner.Change(examiner.NewInstall(bundle)).status());
  ASSIGN_OR_RETURN(const std::set<std::string> after, Generations(examiner));
  return ExpectSame("the generations on the disk", absl::StrJoin(after, " "), absl::StrJoin(before, " "));
}

// Whoever finds a private key in what the node keeps or writes, its owner alone may read it.
absl::Status HideKeys(Examiner& examiner) {
  int keys = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(examiner.site().state(), error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (!entry->is_regular_file() || entry->is_symlink()) continue;
    const std::string path = entry->path().string();
    if (!absl::StrContains(testing::ReadFile(path), "PRIVATE KEY")) continue;
    ++keys;
    ASSIGN_OR_RETURN(const struct stat found, StatOf(path, /*follow=*/false));
    RETURN_IF_ERROR(Expect((found.st_mode & 0077) == 0,
                           absl::StrFormat("%s holds a private key and is %04o", path, found.st_mode & 07777)));
  }
  if (keys == 0) return absl::UnimplementedError(absl::StrCat("no key can be seen in ", examiner.site().state()));
  return absl::OkStatus();
}

// --- Changes by hand.

absl::Status ExpectDriftMended(Examiner& examiner, const std::string& file) {
  ASSIGN_OR_RETURN(const v1::Inventory::Service seen, examiner.LookAtService(examiner.service()));
  RETURN_IF_ERROR(Expect(!seen.drift().empty(), "it is not reported as drift"));
  RETURN_IF_ERROR(Expect(absl::StrContains(absl::StrJoin(seen.drift(), "\n"), file),
                         absl::StrCat("the drift does not name ", file, ": ", absl::StrJoin(seen.drift(), "; "))));
  RETURN_IF_ERROR(InstallAndConfirm(examiner, examiner.good(), examiner.good_generation()));
  ASSIGN_OR_RETURN(const v1::Inventory::Service mended, examiner.LookAtService(examiner.service()));
  RETURN_IF_ERROR(Expect(mended.drift().empty(), absl::StrCat("drift stays: ", absl::StrJoin(mended.drift(), "; "))));
  RETURN_IF_ERROR(HaveTheirModes(examiner));
  RETURN_IF_ERROR(HaveTheirShape(examiner));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status NoticesAnotherMode(Examiner& examiner) {
  const std::string path = examiner.service().FilePath("privkey.pem");
  if (chmod(path.c_str(), 0604) != 0) return FailErrno(errno, path);
  return ExpectDriftMended(examiner, "privkey.pem");
}

absl::Status NoticesAReplacedLink(Examiner& examiner) {
  const std::string path = examiner.service().FilePath("fullchain.pem");
  const std::string same = testing::ReadFile(path);
  (void)unlink(path.c_str());
  RETURN_IF_ERROR(testing::WriteFile(path, same, 0644));
  return ExpectDriftMended(examiner, "fullchain.pem");
}

absl::Status NoticesAChangedCopy(Examiner& examiner) {
  const std::string path = examiner.service().FilePath("combined.pem");
  RETURN_IF_ERROR(testing::WriteFile(path, "changed by hand\n", 0400));
  return ExpectDriftMended(examiner, "combined.pem");
}

// --- What stands in the way.

// Sends an install, which must be refused as PERMISSION_DENIED before anything was run.
absl::Status ExpectDenied(Examiner& examiner) {
  ASSIGN_OR_RETURN(const v1::InstallResult denied,
                   examiner.Change(examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration())));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(denied, "FAILED PERMISSION_DENIED"));
  return ExpectSame("what was run", examiner.service().Runs(), "");
}

absl::Status NamesWhatIsInTheWay(Examiner& examiner) {
  const std::string folder = examiner.service().FilePath("");
  const std::string aside = folder.substr(0, folder.size() - 1) + ".aside";
  if (rename(folder.c_str(), aside.c_str()) != 0) return FailErrno(errno, folder);
  const absl::StatusOr<v1::Inventory::Service> seen = examiner.LookAtService(examiner.service());
  const absl::Status denied = ExpectDenied(examiner);
  if (rename(aside.c_str(), folder.c_str()) != 0) return FailErrno(errno, folder);
  RETURN_IF_ERROR(seen.status());
  RETURN_IF_ERROR(Expect(!seen->obstacles().empty(), "a folder that is not there is not reported as an obstacle"));
  RETURN_IF_ERROR(denied);
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status FollowsNoPlantedLink(Examiner& examiner) {
  if (geteuid() != 0) return absl::UnimplementedError("only root can make a link that is another user's");
  const std::string folder = examiner.service().FilePath("");
  const std::string path = folder.substr(0, folder.size() - 1);
  const std::string aside = path + ".aside";
  if (rename(path.c_str(), aside.c_str()) != 0) return FailErrno(errno, path);
  absl::Status denied = symlink(aside.c_str(), path.c_str()) == 0 && lchown(path.c_str(), 65534, 65534) == 0
                            ? ExpectDenied(examiner)
                            : FailErrno(errno, path);
  (void)unlink(path.c_str());
  if (rename(aside.c_str(), path.c_str()) != 0) return FailErrno(errno, path);
  RETURN_IF_ERROR(denied);
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

}  // namespace

std::vector<Check> FileChecks() {
  return {
      {"file.modes", "Each file has the mode and the owner that it is declared with.", "design 5, stage",
       HaveTheirModes},
      {"file.shape", "What services read is a link into the node's state, or with `install: copy` a regular file.",
       "design 5", HaveTheirShape},
      {"file.one-flip", "The links are created once: an install leaves them as they are.", "design 5",
       AreFlippedAtOnce},
      {"file.keep", "Generations beyond `keep` are pruned, the oldest first; never one that Revert may need.",
       "design 5, commit", ArePruned},
      {"file.refused", "A bundle that is refused has written no generation.", "design 2.2, 5", LeaveNothingWhenItFails},
      {"file.secret", "A file that holds a private key can be read by its owner alone.", "design 2.7", HideKeys},
      {"file.drift-mode", "Another mode is reported as drift, and mended by the same install.",
       "design 1; link.proto, Inventory.Service", NoticesAnotherMode},
      {"file.drift-link", "A link that was replaced is reported as drift, and mended.",
       "design 1; link.proto, Inventory.Service", NoticesAReplacedLink},
      {"file.drift-copy", "A copy that was changed is reported as drift, and mended.",
       "design 1; link.proto, Inventory.Service", NoticesAChangedCopy},
      {"file.obstacle", "What an install would be refused for is an obstacle in the inventory, and it is refused.",
       "link.proto, Inventory.Service", NamesWhatIsInTheWay},
      {"file.planted-link", "A symlink planted by another user in the way is refused.", "design 5",
       FollowsNoPlantedLink},
  };
}

}  // namespace certcast::conformance
