#include "common/command_line/written.h"

#include <poll.h>
#include <unistd.h>

#include <iostream>

namespace certcast {
namespace {

// Of a pipe: it has seen what it wants.
bool IsReaderGone(int fd) {
  pollfd pipe = {.fd = fd, .events = 0, .revents = 0};
  return poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0;
}

}  // namespace

bool WroteStandardOutput(absl::string_view program) {
  std::cout.flush();
  if (std::cout) return true;
  if (!IsReaderGone(STDOUT_FILENO)) std::cerr << program << ": could not write the result to standard output\n";
  return false;
}

}  // namespace certcast
