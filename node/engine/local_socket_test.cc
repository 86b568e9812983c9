#include "node/engine/local_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "common/file/descriptor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::Not;

// Takes one connection and does with it as it is told.
class Server {
 public:
  Server(const std::string& path, std::function<void(int)> serve) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    thread_ = std::thread([this, serve = std::move(serve)] {
      const Descriptor connection(accept(listener_.get(), nullptr, nullptr));
      serve(connection.get());
    });
  }
  ~Server() { thread_.join(); }

 private:
  Descriptor listener_;
  std::thread thread_;
};

// To the line that is empty.
std::string ReadRequest(int fd) {
  std::string request;
  char byte;
  while (!absl::EndsWith(request, "\n\n") && read(fd, &byte, 1) == 1) request += byte;
  return request;
}

class LocalSocketTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Ask(absl::string_view request, absl::Duration timeout = absl::Seconds(30)) {
    return LocalSocket::Real().Ask(path, request, timeout);
  }

  const testing::TemporaryDirectory directory = testing::TemporaryDirectory::Short();
  const std::string path = directory.path() + "/s";
};

TEST_F(LocalSocketTest, GivesTheWholeAnswer) {
  std::string request;
  const Server server(path, [&](int fd) {
    request = ReadRequest(fd);
    for (const char* part : {"one\n", "two\n", "\n"}) EXPECT_GT(write(fd, part, std::strlen(part)), 0);
  });
  EXPECT_EQ(Ask("hello\n\n").value(), "one\ntwo\n\n");
  EXPECT_EQ(request, "hello\n\n");
}

TEST_F(LocalSocketTest, WritesMoreThanASocketHolds) {
  const std::string request(4 << 20, 'x');
  size_t size = 0;
  const Server server(path, [&](int fd) {
    size = ReadRequest(fd).size();
    EXPECT_EQ(write(fd, "ok", 2), 2);
  });
  EXPECT_EQ(Ask(request + "\n\n").value(), "ok");
  EXPECT_EQ(size, request.size() + 2);
}

TEST_F(LocalSocketTest, AnAnswerWithoutEndIsGivenUp) {
  const Server server(path, [&](int fd) {
    const std::string block(4096, 'x');
    while (send(fd, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  EXPECT_THAT(Ask("hello\n\n"), HasReason(Reason::PROTOCOL));
}

TEST_F(LocalSocketTest, NoAnswerIsGivenUpInTime) {
  const Server server(path, [](int fd) {
    ReadRequest(fd);
    // Until the other side has gone.
    char byte;
    EXPECT_EQ(read(fd, &byte, 1), 0);
  });
  const auto answer = Ask("hello secret\n\n", absl::Milliseconds(50));
  EXPECT_THAT(answer, HasReason(Reason::TIMED_OUT));
  EXPECT_THAT(answer.status().message(), HasSubstr(path));
  EXPECT_THAT(answer.status().message(), Not(HasSubstr("secret")));
}

TEST_F(LocalSocketTest, AServerThatReadsNothingIsGivenUpInTime) {
  absl::Notification given_up;
  const Server server(path, [&](int) { given_up.WaitForNotification(); });
  EXPECT_THAT(Ask(std::string(4 << 20, 'x'), absl::Milliseconds(50)), HasReason(Reason::TIMED_OUT));
  given_up.Notify();
}

TEST_F(LocalSocketTest, AServerThatHangsUpIsALostLink) {
  const Server server(path, [](int) {});
  EXPECT_THAT(Ask(std::string(4 << 20, 'x')), HasReason(Reason::LINK_LOST));
}

TEST_F(LocalSocketTest, WhereNothingListensThereIsNoWay) {
  const auto missing = Ask("hello\n\n");
  EXPECT_THAT(missing, HasReason(Reason::NO_ROUTE));
  EXPECT_THAT(missing.status().message(), HasSubstr(path));
}

TEST_F(LocalSocketTest, APathThatNoSocketCanHaveIsRefused) {
  EXPECT_THAT(LocalSocket::Real().Ask("/" + std::string(200, 'x'), "", absl::Seconds(1)), HasReason(Reason::NO_ROUTE));
}

}  // namespace
}  // namespace certcast::node
