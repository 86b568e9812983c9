// One link to the node under test, whatever carries it.
#ifndef CERTCAST_TESTS_CONFORMANCE_CONNECTION_H_
#define CERTCAST_TESTS_CONFORMANCE_CONNECTION_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"

namespace certcast::conformance {

// What the node said, in its order. Thread-safe.
class Inbox {
 public:
  void Add(v1::Report report);
  // Nothing more comes.
  void End(absl::Status why);
  // The next report. kDeadlineExceeded when none came in time; kUnavailable, with the reason, when the link has ended.
  absl::StatusOr<v1::Report> Next(absl::Duration timeout);

 private:
  bool HasSomething() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !reports_.empty() || !ended_.ok(); }

  absl::Mutex mutex_;
  std::deque<v1::Report> reports_ ABSL_GUARDED_BY(mutex_);
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
};

// Its end cuts the link. To be used by one thread.
class Connection {
 public:
  virtual ~Connection() = default;

  virtual absl::Status Send(const v1::Command& command) = 0;
  // Bytes that are no message. kUnimplemented where the transport can't carry any.
  virtual absl::Status SendBytes(absl::string_view bytes) = 0;
  absl::StatusOr<v1::Report> Next(absl::Duration timeout) { return inbox_.Next(timeout); }

 protected:
  Inbox inbox_;
};

// Who opens a link: a certificate of the fleet with its key, as PEM. Both empty: nobody.
struct Caller {
  std::string chain_pem;
  std::string key_pem;
};

// A link that is opened in another way than the controller does it.
struct Approach {
  // Over stdio: nothing is added to what is sent, though the node is hosted.
  bool untold = false;
  Caller caller = {};
  // Without TLS.
  bool plaintext = false;
  // Bytes of metadata beside what gRPC sends by itself.
  size_t metadata = 0;
  // host:port; empty: where the node listens.
  std::string by = {};
  // How often an idle link is pinged; by default never.
  absl::Duration keepalive = absl::InfiniteDuration();
};

// How to reach the node. Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  // Does not wait for Hello.
  virtual absl::StatusOr<std::unique_ptr<Connection>> Open() = 0;
  // kUnimplemented where the transport knows no other way.
  virtual absl::StatusOr<std::unique_ptr<Connection>> OpenAs(const Approach& approach) = 0;
  // So many links on one connection, which all end at that time. Waits until then where the node lets one wait.
  // kUnimplemented where a connection carries one.
  virtual absl::StatusOr<std::vector<std::unique_ptr<Connection>>> OpenTogether(int count, absl::Time until) = 0;
  // host:port, where others may connect too. kUnimplemented where the transport has no such place.
  virtual absl::StatusOr<std::string> address() const = 0;
  // The controller, as far as it is known.
  virtual Caller controller() const = 0;
  // Whether a second link may be open beside the first.
  virtual bool carries_several() const = 0;
};

// Mutual TLS with the node called `node`, at host:port.
std::unique_ptr<Transport> MakeGrpcTransport(const std::string& address, const std::string& node,
                                             const std::string& fleet_ca_pem, const Caller& controller);

// A program that speaks on its standard input and output; started for each link. Its standard error is appended to the
// file `log`. One that is hosted gets `definition` with the first command of each link, unless that has one.
std::unique_ptr<Transport> MakeStdioTransport(std::vector<std::string> argv, const std::string& log,
                                              std::optional<v1::NodeDefinition> definition);

}  // namespace certcast::conformance

#endif  // CERTCAST_TESTS_CONFORMANCE_CONNECTION_H_
