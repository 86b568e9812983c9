// Owner of a file descriptor.
#ifndef CERTCAST_COMMON_FILE_DESCRIPTOR_H_
#define CERTCAST_COMMON_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace certcast {

// Closes its descriptor when destroyed. What close says is dropped: who needs to know that data is safe calls fsync.
// Thread-compatible.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Gives it up.
  int Release() { return std::exchange(fd_, -1); }
  // Keeps errno.
  void Close() {
    if (fd_ < 0) return;
    const int saved = errno;
    ::close(fd_);
    errno = saved;
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_FILE_DESCRIPTOR_H_
