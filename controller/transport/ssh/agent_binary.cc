#include "controller/transport/ssh/agent_binary.h"

#include <elf.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "common/x509/ssl_ptr.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxBinary = size_t{256} * 1024 * 1024;

constexpr absl::string_view kHint =
    "put the static certcast-node that hosts get beside certcast, or name it: ssh: {agent_binary: PATH}";
constexpr size_t kPiece = size_t{64} * 1024;

absl::Status Unusable(absl::string_view what) {
  return Fail(Reason::NO_AGENT_BINARY, what, kHint);
}

// Empty when it is no ELF program or of another machine. `start` is of its contents.
std::string MachineOf(absl::string_view start) {
  // e_machine is at the same place for 32 and 64 bits.
  Elf64_Ehdr header;
  if (start.size() < sizeof header || !absl::StartsWith(start, ELFMAG)) return {};
  std::memcpy(&header, start.data(), sizeof header);
  const bool is_64 = header.e_ident[EI_CLASS] == ELFCLASS64;
  switch (header.e_machine) {
    case EM_X86_64:
      return is_64 ? "x86_64" : "";
    case EM_AARCH64:
      return "aarch64";
    case EM_RISCV:
      return is_64 ? "riscv64" : "";
    case EM_PPC64:
      return header.e_ident[EI_DATA] == ELFDATA2LSB ? "ppc64le" : "ppc64";
    case EM_S390:
      return "s390x";
    default:
      return {};
  }
}

// As Sha256Hex, of what is added piece by piece.
class Digest {
 public:
  Digest() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

  void Add(absl::string_view piece) { EVP_DigestUpdate(context_.get(), piece.data(), piece.size()); }
  std::string Hex() {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), &size);
    return absl::BytesToHexString(absl::string_view(digest).substr(0, size));
  }

 private:
  const SslPtr<EVP_MD_CTX> context_ = SslPtr<EVP_MD_CTX>(EVP_MD_CTX_new());
};

absl::Status FailedToRead(const std::string& path) {
  return Unusable(FailureOf(FailErrno(errno, absl::StrCat("reading ", path))).detail());
}

absl::StatusOr<Descriptor> OpenBinary(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file.valid()) return FailedToRead(path);
  return file;
}

absl::StatusOr<struct stat> InfoOf(const Descriptor& file, const std::string& path) {
  struct stat info;
  if (fstat(file.get(), &info) != 0) return FailedToRead(path);
  return info;
}

// Its pieces to `take`, one by one, until that says that it has enough; how many bytes they were.
absl::StatusOr<size_t> ReadPieces(const Descriptor& file, const std::string& path,
                                  const std::function<bool(absl::string_view)>& take) {
  std::vector<char> piece(kPiece);
  size_t size = 0;
  while (true) {
    const ssize_t count = read(file.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailedToRead(path);
    if (count == 0) return size;
    size += static_cast<size_t>(count);
    if (size > kMaxBinary) return Unusable(absl::StrCat(path, " is larger than ", kMaxBinary, " bytes"));
    if (!take(absl::string_view(piece.data(), static_cast<size_t>(count)))) return size;
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const AgentBinary>> AgentBinary::Look(const std::string& path,
                                                                     const AgentDigests& digests) {
  auto binary = std::make_shared<AgentBinary>();
  binary->path = path;
  ASSIGN_OR_RETURN(const Descriptor file, OpenBinary(path));
  ASSIGN_OR_RETURN(const struct stat before, InfoOf(file, path));
  binary->sha256 = digests.Find(before);
  const bool is_known = !binary->sha256.empty();
  Digest digest;
  std::string start;
  ASSIGN_OR_RETURN(const size_t count, ReadPieces(file, path, [&](absl::string_view piece) {
                     if (start.size() < sizeof(Elf64_Ehdr)) absl::StrAppend(&start, piece);
                     if (is_known) return start.size() < sizeof(Elf64_Ehdr);
                     digest.Add(piece);
                     return true;
                   }));
  binary->machine = MachineOf(start);
  if (binary->machine.empty()) return Unusable(absl::StrCat(path, " is not a program for a machine that is known"));
  binary->size = is_known ? static_cast<size_t>(before.st_size) : count;
  if (is_known) return std::shared_ptr<const AgentBinary>(std::move(binary));
  binary->sha256 = digest.Hex();
  // Not of what was being written while it was read.
  ASSIGN_OR_RETURN(const struct stat after, InfoOf(file, path));
  if (absl::TimeFromTimespec(after.st_ctim) == absl::TimeFromTimespec(before.st_ctim)) {
    digests.Keep(after, binary->sha256);
  }
  return std::shared_ptr<const AgentBinary>(std::move(binary));
}

absl::StatusOr<std::shared_ptr<const std::string>> AgentBinary::Read() const {
  auto contents = std::make_shared<std::string>();
  contents->reserve(size);
  ASSIGN_OR_RETURN(const Descriptor file, OpenBinary(path));
  RETURN_IF_ERROR(ReadPieces(file, path, [&](absl::string_view piece) {
                    absl::StrAppend(contents.get(), piece);
                    return true;
                  }).status());
  if (Sha256Hex(*contents) != sha256) {
    return Fail(Reason::NO_AGENT_BINARY, absl::StrCat(path, " has become another while it was in use"), "try again");
  }
  return std::shared_ptr<const std::string>(std::move(contents));
}

}  // namespace certcast::controller
