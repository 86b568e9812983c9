#include "tests/conformance/stand_in.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "common/probe/tls_client.h"
#include "common/status/status.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

namespace fs = std::filesystem;

using testing::ReadFile;
using testing::WriteFile;

// $0 service, $1 certificate, $2 files, $3 folder, $4 the check's timeout, $5 port, $6 host.
constexpr absl::string_view kService = R"(  - name: $0
    certificate: $1
    files:
$2    check: {run: [$3/check], timeout: $4}
    reload: [$3/reload]
    probes:
      - tls: {address: "127.0.0.1:$5", server_name: $6, timeout: 3s}
)";

// $0 folder, $1 name: what every command does first.
constexpr absl::string_view kNote = R"(#!/bin/bash
echo $1 >>$0/log
{ env; tr '\0' '\n' </proc/$$$$/cmdline; } >>$0/seen
)";

// $0 the last words.
constexpr absl::string_view kFlood = R"({ head -c 300000 /dev/zero | tr '\0' x; printf '\xff\xfe\033[2J\n$0\n'; } >&2
)";

std::string WithoutSpace(std::string text) {
  text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return absl::ascii_isspace(c); }), text.end());
  return text;
}

}  // namespace

std::string StandIn::InNodeYaml(absl::string_view host) const {
  std::string files;
  for (const DeclaredFile& file : kDeclaredFiles) {
    absl::StrAppendFormat(&files, "      - {path: %s, content: %s, mode: \"%04o\"%s}\n", FilePath(file.name),
                          file.content, file.mode, file.is_copy ? ", install: copy" : "");
  }
  return absl::Substitute(kService, name_, certificate_, files, folder_, absl::FormatDuration(kCheckTimeout), port_,
                          host);
}

absl::Status StandIn::MakeFolder() const {
  std::error_code error;
  fs::create_directories(folder_ + "/tls", error);
  return error ? FailErrno(error.value(), folder_) : absl::OkStatus();
}

absl::Status StandIn::Start(const testing::IssuedCertificate& before) {
  server_ = std::make_unique<testing::ReloadingTlsServer>(FilePath("fullchain.pem"), FilePath("privkey.pem"),
                                                          before.fullchain_pem, before.key_pem.ExposeSecret(), port_);
  RETURN_IF_ERROR(Behave({}));
  if (Installed() != "nothing") server_->Reload();
  return absl::OkStatus();
}

absl::Status StandIn::Behave(const Behaviour& behaviour) const {
  server_->IgnoreReloads(behaviour.ignores_reload);
  std::string check;
  for (const DeclaredFile& file : kDeclaredFiles) {
    absl::StrAppend(&check, "cat ", FilePath(file.name), " >", folder_, "/", file.name, "-at-check\n");
  }
  if (behaviour.check_floods) check += absl::Substitute(kFlood, kLastWords);
  if (behaviour.check_hangs) check += "sleep 600\n";
  if (behaviour.check_fails) check += "echo the check says no >&2\nexit 1\n";
  RETURN_IF_ERROR(WriteCommand("check", check));
  std::error_code ignored;
  fs::remove(folder_ + "/release", ignored);
  const std::string wait =
      behaviour.reload_waits ? absl::Substitute("until test -e $0/release; do sleep 0.05; done\n", folder_) : "";
  return WriteCommand("reload", absl::StrCat(wait, behaviour.reload_fails ? "echo the reload says no >&2\nexit 1\n"
                                                                          : server_->reload_line() + "\n"));
}

absl::Status StandIn::Release() const {
  return WriteFile(folder_ + "/release", "");
}

// Replaced in one step: the node may be about to run it.
absl::Status StandIn::WriteCommand(const std::string& name, const std::string& lines) const {
  const std::string path = absl::StrCat(folder_, "/", name);
  RETURN_IF_ERROR(WriteFile(path + ".new", absl::StrCat(absl::Substitute(kNote, folder_, name), lines), 0755));
  return rename((path + ".new").c_str(), path.c_str()) == 0 ? absl::OkStatus() : FailErrno(errno, path);
}

std::string StandIn::Runs() const {
  return absl::StrReplaceAll(absl::StripAsciiWhitespace(ReadFile(folder_ + "/log")), {{"\n", " "}});
}

void StandIn::ForgetRuns() const {
  std::error_code ignored;
  fs::remove(folder_ + "/log", ignored);
}

std::string StandIn::SeenByRuns() const {
  return ReadFile(folder_ + "/seen");
}

// combined.pem is the other two, key first.
std::string StandIn::LeafIn(const std::string& prefix, const std::string& suffix) const {
  const std::string fullchain = absl::StrCat(prefix, "fullchain.pem", suffix);
  const std::string key = absl::StrCat(prefix, "privkey.pem", suffix);
  const std::string combined = WithoutSpace(ReadFile(absl::StrCat(prefix, "combined.pem", suffix)));
  if (combined != WithoutSpace(ReadFile(key) + ReadFile(fullchain))) return "mixed: combined.pem is of another";
  return testing::LeafInFiles(fullchain, key);
}

std::string StandIn::LeafAtCheck() const {
  return LeafIn(folder_ + "/", "-at-check");
}

std::string StandIn::Installed() const {
  for (const DeclaredFile& file : kDeclaredFiles) {
    struct stat found;
    if ((file.mode & 0077) == 0 && stat(FilePath(file.name).c_str(), &found) == 0 && (found.st_mode & 0077) != 0) {
      return "a key that others may read";
    }
  }
  return LeafIn(FilePath(""), "");
}

std::string StandIn::Served(const std::string& host) const {
  const auto peer = TlsHandshake(server_->address(), host, {}, absl::Seconds(5));
  return peer.ok() ? peer->leaf_sha256 : "";
}

std::string StandIn::FilePath(absl::string_view name) const {
  return absl::StrCat(folder_, "/tls/", name);
}

bool StandIn::IsLink(absl::string_view name) const {
  struct stat found;
  return lstat(FilePath(name).c_str(), &found) == 0 && S_ISLNK(found.st_mode);
}

std::vector<std::string> StandIn::FolderEntries() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(FilePath(""), error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<StandIn::OwnFile>> StandIn::PutOwnFiles(const testing::IssuedCertificate& own) const {
  for (const DeclaredFile& file : kDeclaredFiles) (void)unlink(FilePath(file.name).c_str());
  const std::string key(own.key_pem.ExposeSecret());
  // Neither the modes nor the blank lines are those of certcast.
  std::vector<OwnFile> files = {{.bytes = own.fullchain_pem + "\n\n", .mode = 0640},
                                {.bytes = key + "\n", .mode = 0400},
                                {.bytes = absl::StrCat(key, "\n", own.fullchain_pem), .mode = 0600}};
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string path = FilePath(kDeclaredFiles[i].name);
    RETURN_IF_ERROR(WriteFile(path, files[i].bytes, static_cast<int>(files[i].mode)));
    // Somebody's who is not certcast, where we may.
    if (geteuid() == 0 && chown(path.c_str(), 65534, 65534) != 0) return FailErrno(errno, path);
    struct stat written;
    if (stat(path.c_str(), &written) != 0) return FailErrno(errno, path);
    files[i].owner = written.st_uid;
    files[i].group = written.st_gid;
  }
  if (!server_->Reload()) return absl::InternalError("the service does not take the administrator's files");
  return files;
}

absl::Status StandIn::ExpectOwnFiles(const std::vector<OwnFile>& files) const {
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string path = FilePath(kDeclaredFiles[i].name);
    struct stat found;
    if (stat(path.c_str(), &found) != 0) return FailErrno(errno, path);
    if (ReadFile(path) != files[i].bytes) return absl::FailedPreconditionError(path + " does not hold what it held");
    const OwnFile& own = files[i];
    if ((found.st_mode & 07777) == own.mode && found.st_uid == own.owner && found.st_gid == own.group) continue;
    return absl::FailedPreconditionError(absl::StrFormat("%s is %04o of %d:%d, not %04o of %d:%d", path,
                                                         found.st_mode & 07777, found.st_uid, found.st_gid, own.mode,
                                                         own.owner, own.group));
  }
  return absl::OkStatus();
}

absl::Status StandIn::ExpectNoFiles() const {
  for (const DeclaredFile& file : kDeclaredFiles) {
    struct stat found;
    if (lstat(FilePath(file.name).c_str(), &found) == 0)
      return absl::FailedPreconditionError(absl::StrCat(FilePath(file.name), " is there, where nothing was"));
  }
  return absl::OkStatus();
}

}  // namespace certcast::conformance
