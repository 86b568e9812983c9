#include "node/frontend/bounded_write.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "common/file/descriptor.h"
#include "gtest/gtest.h"

namespace certcast::node {
namespace {

// More than a pipe or a socket holds.
constexpr size_t kMuch = 1 << 20;
constexpr WriteBounds kShort = {.stall = absl::Milliseconds(50), .all = absl::Seconds(30)};

struct Ends {
  Descriptor read;
  Descriptor write;
};

Ends MakePipe() {
  signal(SIGPIPE, SIG_IGN);
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Ends MakeSockets() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

std::string ReadAll(int fd) {
  std::string bytes;
  char buffer[1000];
  for (ssize_t count; (count = read(fd, buffer, sizeof buffer)) > 0;) bytes.append(buffer, static_cast<size_t>(count));
  return bytes;
}

class BoundedWrite : public ::testing::TestWithParam<Ends (*)()> {};

TEST_P(BoundedWrite, WritesAllToOneWhoReadsSlowly) {
  Ends ends = GetParam()();
  std::string written;
  for (size_t i = 0; i < kMuch; ++i) written += static_cast<char>(i % 251);
  std::string seen;
  std::thread reader([&] { seen = ReadAll(ends.read.get()); });
  EXPECT_TRUE(WriteWithin(ends.write.get(), written, WriteBounds()));
  ends.write.Close();
  reader.join();
  EXPECT_EQ(seen, written);
}

TEST_P(BoundedWrite, GivesUpOnOneWhoTakesNothing) {
  Ends ends = GetParam()();
  EXPECT_FALSE(WriteWithin(ends.write.get(), std::string(kMuch, 'x'), kShort));
  // Still a blocking one: it may be shared with other processes.
  EXPECT_EQ(fcntl(ends.write.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_P(BoundedWrite, GivesUpWhenTheTimeForAllIsOver) {
  Ends ends = GetParam()();
  // There is room, and nobody stalls.
  EXPECT_FALSE(WriteWithin(ends.write.get(), "x", {.stall = absl::Seconds(30), .all = absl::ZeroDuration()}));
}

TEST_P(BoundedWrite, NoticesThatTheOtherEndIsGone) {
  Ends ends = GetParam()();
  ends.read.Close();
  EXPECT_FALSE(WriteWithin(ends.write.get(), "x", WriteBounds()));
}

INSTANTIATE_TEST_SUITE_P(Pipe, BoundedWrite, ::testing::Values(&MakePipe));
INSTANTIATE_TEST_SUITE_P(Socket, BoundedWrite, ::testing::Values(&MakeSockets));

TEST(BoundedWriteTo, AClosedDescriptorFails) {
  EXPECT_FALSE(WriteWithin(-1, "x", kShort));
}

}  // namespace
}  // namespace certcast::node
