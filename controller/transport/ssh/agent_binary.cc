#include "controller/transport/ssh/agent_binary.h"

#include <elf.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/digest.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxBinary = size_t{256} * 1024 * 1024;

// Empty when it is no ELF program or of another machine.
std::string MachineOf(const std::string& contents) {
  // e_machine is at the same place for 32 and 64 bits.
  Elf64_Ehdr header;
  if (contents.size() < sizeof header || !absl::StartsWith(contents, ELFMAG)) return {};
  std::memcpy(&header, contents.data(), sizeof header);
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

}  // namespace

absl::StatusOr<std::shared_ptr<const AgentBinary>> AgentBinary::Read(const std::string& path) {
  constexpr absl::string_view kHint =
      "put the static certcast-node that hosts get beside certcast, or name it: ssh: {agent_binary: PATH}";
  auto binary = std::make_shared<AgentBinary>();
  binary->path = path;
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.is_open() ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) {
    return Fail(Reason::NO_AGENT_BINARY,
                FailureOf(FailErrno(errno == 0 ? EIO : errno, absl::StrCat("reading ", path))).detail(), kHint);
  }
  if (static_cast<size_t>(size) > kMaxBinary) {
    return Fail(Reason::NO_AGENT_BINARY, absl::StrCat(path, " is larger than ", kMaxBinary, " bytes"), kHint);
  }
  binary->contents.resize(static_cast<size_t>(size));
  file.seekg(0);
  file.read(binary->contents.data(), size);
  if (!file) return Fail(Reason::NO_AGENT_BINARY, absl::StrCat(path, " can't be read whole"), kHint);
  binary->machine = MachineOf(binary->contents);
  if (binary->machine.empty()) {
    return Fail(Reason::NO_AGENT_BINARY, absl::StrCat(path, " is not a program for a machine that is known"), kHint);
  }
  binary->sha256 = Sha256Hex(binary->contents);
  return std::shared_ptr<const AgentBinary>(std::move(binary));
}

}  // namespace certcast::controller
