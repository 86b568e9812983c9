// Nodes that exist in memory alone, behind the Link that the controller speaks: a whole fleet in a unit test, with
// every failure on demand.
//
// A FakeNode keeps what link.proto promises of a real one (idempotence by command id, epochs, no downgrade, going back
// when Confirm does not come in time) and none of the cryptography: bundles are believed.
#ifndef CERTCAST_TESTS_TESTING_FAKE_LINK_H_
#define CERTCAST_TESTS_TESTING_FAKE_LINK_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "controller/transport/link.h"

namespace certcast::testing {

enum class CommandKind { kDescribe, kInstall, kConfirm, kRevert, kProbe, kPutHttpChallenge, kRemoveHttpChallenge };
CommandKind KindOf(const v1::Command& command);

// What happens to one command in place of its normal course.
struct Fault {
  enum class Kind {
    kRefused,      // a Refusal; nothing changed
    kResult,       // an InstallResult that says so; the node is as it was
    kLostBefore,   // LINK_LOST, and the node never saw the command
    kLostAfter,    // LINK_LOST, and the node did it all
    kTimedOut,     // TIMED_OUT once the caller's timeout is over, and the node did it all
    kWrongAnswer,  // PROTOCOL
  };
  Kind kind = Kind::kRefused;
  v1::Outcome::Code outcome = v1::Outcome::FAILED;
  v1::Failure failure;

  static Fault Refused(v1::Reason::Code reason, absl::string_view detail = "");
  // As of an install that failed: REVERTED and CHECK_FAILED, RELOAD_FAILED or PROBE_FAILED; FAILED and NO_SPACE...
  static Fault Result(v1::Outcome::Code outcome, v1::Reason::Code reason, absl::string_view detail = "");
  static Fault LostBefore() { return Of(Kind::kLostBefore); }
  static Fault LostAfter() { return Of(Kind::kLostAfter); }
  static Fault TimedOut() { return Of(Kind::kTimedOut); }
  static Fault WrongAnswer() { return Of(Kind::kWrongAnswer); }

 private:
  static Fault Of(Kind kind);
};

// One command on its way: `begins` when the node gets it, `ends` with its answer.
struct LinkEvent {
  enum class Phase { kBegins, kEnds };
  Phase phase = Phase::kBegins;
  std::string node;
  CommandKind kind = CommandKind::kDescribe;
  std::string certificate;
  uint64_t generation = 0;
  std::string command_id;
  uint64_t epoch = 0;
  absl::Time at;
};

// Thread-safe.
class FakeNode {
 public:
  static constexpr int kAlways = -1;

  // What it has of one certificate. Generation 0: nothing yet.
  struct Installed {
    uint64_t generation = 0;
    std::string leaf_sha256;
    absl::Time not_after = absl::InfiniteFuture();
    absl::Time since = absl::UnixEpoch();
    bool confirmed = true;
    // While not confirmed: goes back at that time.
    absl::Time confirm_by = absl::InfiniteFuture();
    uint64_t previous_generation = 0;
    std::string previous_leaf_sha256;
    uint64_t highest_generation = 0;
  };

  FakeNode(std::string name, Clock& clock) : name_(std::move(name)), clock_(clock) {}

  // --- What the test makes of it.
  // As of an earlier rollout: confirmed, served.
  void Preinstall(absl::string_view certificate, uint64_t generation, absl::string_view leaf_sha256);
  // From now on Open fails with this; OK: it can be reached again. Links that are open stay so.
  void SetReachable(absl::Status status);
  // The next `times` commands of that kind meet `fault` (kAlways: all that come). Faults of one kind queue up.
  void Inject(CommandKind kind, Fault fault, int times = 1);
  // How long each command of that kind takes, by the clock.
  void SetDelay(CommandKind kind, absl::Duration delay);
  // What its services serve from now on whatever is installed; empty: what is installed. Its own probes see it too.
  void SetServed(absl::string_view certificate, absl::string_view leaf_sha256);
  // What only the controller's own handshake sees, as behind a load balancer; empty: what is served.
  void SetServedToController(absl::string_view certificate, absl::string_view leaf_sha256);
  // Its services are restarted where others are reloaded.
  void SetDisruptive();
  // Its clock is ahead by that from now on; negative: behind.
  void SetClockOff(absl::Duration off);
  // What it says of its clock from now on: see Inventory.clock_failure.
  void SetClockFailure(const v1::Failure& failure);
  // All of its certificates are used by one service, which is probed for each of them.
  void SetOneService();
  // Lines of drift that Describe and Probe report for the certificate's service.
  void SetDrift(absl::string_view certificate, std::vector<std::string> drift);
  // How much room it has from now on for its state.
  void SetFreeBytes(uint64_t bytes);
  // What all of its services would refuse an install for.
  void SetObstacle(std::string obstacle);

  // --- What became of it.
  Installed installed(absl::string_view certificate) const;
  std::string served_sha256(absl::string_view certificate) const;
  std::string served_to_controller_sha256(absl::string_view certificate) const;
  // How often services were reloaded, and how many commands of that kind the node saw (a repeated id counts too).
  int reloads() const;
  // What it shows to CAs: key authorizations by their tokens.
  std::map<std::string, std::string> http_challenges() const;
  int seen(CommandKind kind) const;

 private:
  friend class FakeLink;
  friend class FakeTransport;

  struct PendingFault {
    Fault fault;
    int times = 1;
  };

  // The fault that the next command of that kind meets, used up by one.
  bool TakeFault(CommandKind kind, Fault& fault);
  absl::Duration Delay(CommandKind kind) const;
  absl::Status reachable() const;

  // The node's whole answer. Faults of kind kResult are applied here, the others are the link's.
  v1::Report Handle(const v1::Command& command, const Fault* fault);
  v1::Report HandleLocked(const v1::Command& command, const Fault* fault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<v1::Failure> BusyWith(const v1::Install& install) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::InstallResult Install(const v1::Install& install) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::InstallResult Confirm(const v1::Confirm& confirm) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::InstallResult Revert(const v1::Revert& revert) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Inventory Describe(bool with_probes, absl::string_view certificate) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GoBack(Installed& installed) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GoBackWhereOverdue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string ServiceOf(absl::string_view certificate) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::ProbeResult LookAt(absl::string_view certificate) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Served(absl::string_view certificate) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FillInForce(absl::string_view certificate, v1::InstallResult& result) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  // Mutable: what is overdue goes back when somebody looks.
  mutable std::map<std::string, Installed, std::less<>> installed_ ABSL_GUARDED_BY(mutex_);
  mutable int reloads_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::string, std::less<>> served_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string, std::less<>> served_to_controller_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<std::string>, std::less<>> drift_ ABSL_GUARDED_BY(mutex_);
  bool is_disruptive_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration clock_off_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::Failure> clock_failure_ ABSL_GUARDED_BY(mutex_);
  uint64_t free_bytes_ ABSL_GUARDED_BY(mutex_) = uint64_t{1} << 30;
  std::string obstacle_ ABSL_GUARDED_BY(mutex_);
  bool is_one_service_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::string> http_challenges_ ABSL_GUARDED_BY(mutex_);
  std::map<CommandKind, std::deque<PendingFault>> faults_ ABSL_GUARDED_BY(mutex_);
  std::map<CommandKind, absl::Duration> delays_ ABSL_GUARDED_BY(mutex_);
  std::map<CommandKind, int> seen_ ABSL_GUARDED_BY(mutex_);
  mutable std::map<std::string, v1::Report> answered_ ABSL_GUARDED_BY(mutex_);
  uint64_t highest_epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status reachable_ ABSL_GUARDED_BY(mutex_);
};

// Thread-safe. Its links may outlive a use of Open, not this.
class FakeTransport : public controller::Transport {
 public:
  using OnCommand = std::function<void(const std::string& node, const v1::Command& command)>;

  explicit FakeTransport(Clock& clock) : clock_(clock) {}

  // Makes the node the first time. It lives as long as this.
  FakeNode& Node(absl::string_view name);

  // A node that nobody made with Node() is unreachable (NO_ROUTE).
  absl::StatusOr<std::unique_ptr<controller::Link>> Open(const controller::NodeConfig& node,
                                                         absl::Duration timeout) override;

  // Called on the caller's thread before a node gets a command: a place to wait, to look, or to play the operator.
  void SetOnCommand(OnCommand on_command);

  // In the order they happened, over all nodes.
  std::vector<LinkEvent> events() const;
  // Names of nodes that were given a command of this kind, in order, each time.
  std::vector<std::string> NodesThatGot(CommandKind kind) const;
  // The most nodes with a command under way at once, among those of the list; an empty list: among all.
  int MaxInFlight(const std::vector<std::string>& nodes = {}) const;
  // How often Open was called.
  int opened() const;

 private:
  friend class FakeLink;
  void Record(LinkEvent event);
  OnCommand on_command() const;

  Clock& clock_;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<FakeNode>, std::less<>> nodes_ ABSL_GUARDED_BY(mutex_);
  std::vector<LinkEvent> events_ ABSL_GUARDED_BY(mutex_);
  OnCommand on_command_ ABSL_GUARDED_BY(mutex_);
  int opened_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_LINK_H_
