#include "tests/testing/private_network.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

constexpr char kResolvConf[] = "/etc/resolv.conf";

absl::Status RaiseLoopback() {
  const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!any.valid()) return FailErrno(errno, "socket");
  ifreq loopback = {};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(any.get(), SIOCSIFFLAGS, &loopback) == 0 ? absl::OkStatus() : FailErrno(errno, "raising lo");
}

}  // namespace

absl::Status EnterPrivateNetwork(const std::string& folder) {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return FailErrno(errno, "unshare (run this test as root)");
  // Else the mount below would be everybody's.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return FailErrno(errno, "mount --make-rprivate /");
  RETURN_IF_ERROR(RaiseLoopback());
  const std::string own = folder + "/resolv.conf";
  RETURN_IF_ERROR(WriteFile(own, "nameserver 127.0.0.1\n", 0644));
  if (mount(own.c_str(), kResolvConf, nullptr, MS_BIND, nullptr) != 0) {
    return FailErrno(errno, absl::StrCat("mounting ", own, " at ", kResolvConf));
  }
  return absl::OkStatus();
}

}  // namespace certcast::testing
