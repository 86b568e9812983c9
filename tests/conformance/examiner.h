// What the checks are made of: commands, answers, and the state that each check begins from.
#ifndef CERTCAST_TESTS_CONFORMANCE_EXAMINER_H_
#define CERTCAST_TESTS_CONFORMANCE_EXAMINER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "tests/conformance/connection.h"
#include "tests/conformance/site.h"
#include "tests/testing/test_ca.h"

namespace certcast::conformance {

// Of Failure.stderr.
inline constexpr size_t kMaxStderr = size_t{4} * 1024;

// OK, or what was seen instead.
absl::Status Expect(bool holds, absl::string_view otherwise);
// The same for two texts.
absl::Status ExpectSame(absl::string_view what, absl::string_view seen, absl::string_view wanted);

class Examiner {
 public:
  // `patience`: longer than any step of a node that works.
  Examiner(Site& site, Transport& transport, absl::Duration patience)
      : site_(site), transport_(transport), patience_(patience) {}

  Site& site() { return site_; }
  const StandIn& service() const { return site_.service(); }
  Transport& transport() { return transport_; }
  absl::Duration patience() const { return patience_; }

  // --- Links. One is open at most times.

  // Opens one and waits for Hello: again and again for a while, since the node may be busy with an earlier one.
  absl::StatusOr<std::unique_ptr<Connection>> OpenLink(v1::Report* hello = nullptr);
  // The same to a hosted node, with what it is told left to the check. kUnimplemented where the node is none.
  absl::StatusOr<std::unique_ptr<Connection>> OpenUntoldLink();
  // The one that is open, or a new one.
  absl::StatusOr<Connection*> Link();
  void CutLink() { link_.reset(); }

  // --- Commands.

  // With an id that was never used and this run's epoch.
  v1::Command NewCommand();
  v1::Command NewDescribe();
  v1::Command NewInstall(const v1::Bundle& bundle, absl::Duration confirm_timeout = absl::Minutes(1));
  v1::Command NewInstall(const testing::IssuedCertificate& issued, uint64_t generation,
                         absl::Duration confirm_timeout = absl::Minutes(1));
  v1::Command NewConfirm(const testing::IssuedCertificate& issued, uint64_t generation);
  v1::Command NewRevert(uint64_t generation, const std::string& certificate = kCertificate);
  v1::Bundle Bundle(const testing::IssuedCertificate& issued, uint64_t generation) const;
  uint64_t epoch() const { return epoch_; }

  // Sends it and waits for its final report, on `link` or the one that is open. Everything in between must be Progress
  // of the same command; it is added to `steps`. Every report must be as outcome.proto says, and hold nothing of a
  // private key.
  absl::StatusOr<v1::Report> Call(const v1::Command& command, std::vector<std::string>* steps = nullptr,
                                  Connection* link = nullptr);
  // The same for commands that end in one kind of report; another one is an error.
  absl::StatusOr<v1::InstallResult> Change(const v1::Command& command, std::vector<std::string>* steps = nullptr);
  // The same, again and again for a while where the node is BUSY, as when it goes back by itself.
  absl::StatusOr<v1::InstallResult> ChangeOnceFree(const v1::Command& command);
  absl::StatusOr<v1::Failure> Refusal(const v1::Command& command);
  absl::StatusOr<v1::Inventory> Describe();
  // The certificate's entry; an empty one when there is none.
  absl::StatusOr<v1::Inventory::Certificate> Look(const std::string& certificate = kCertificate);
  // The service's entry for its certificate; an error when there is none.
  absl::StatusOr<v1::Inventory::Service> LookAtService(const StandIn& service);

  // Whether it holds a line of a private key that was sent to the node.
  bool HoldsSecret(const std::string& text) const;

  // --- Expectations.

  // The outcome and, unless it is empty, the reason: "REVERTED CHECK_FAILED".
  static absl::Status ExpectOutcome(const v1::InstallResult& result, absl::string_view wanted);
  // Files and server have it, and nothing waits for Confirm where `confirmed`.
  absl::Status ExpectInForce(const testing::IssuedCertificate& issued, bool confirmed);

  // --- The state that each check begins from: the highest generation that the node has accepted is in force, confirmed
  // and served, nothing waits for Confirm, the service does what it should, and no command was run since.

  absl::Status Settle();
  // First half of it, and the end of each check: what waits for Confirm goes back, by command.
  absl::Status LetGo();
  // Nothing but the files lies where they are, once nothing waits for Confirm.
  absl::Status ExpectNothingBeside();
  // What is in force then.
  const testing::IssuedCertificate& good() const { return *good_; }
  uint64_t good_generation() const { return good_generation_; }
  // A generation that the node has not seen.
  uint64_t NextGeneration();

 private:
  absl::StatusOr<std::unique_ptr<Connection>> OpenLink(
      const std::function<absl::StatusOr<std::unique_ptr<Connection>>()>& open, v1::Report* hello);
  absl::Status InstallGood();
  void NoteSecrets(const v1::Command& command);

  Site& site_;
  Transport& transport_;
  const absl::Duration patience_;
  std::unique_ptr<Connection> link_;
  // Above those of earlier runs on the same node.
  const uint64_t epoch_ = static_cast<uint64_t>(absl::ToUnixSeconds(absl::Now()));
  int last_id_ = 0;
  std::vector<std::string> secrets_;
  // There is a lower one for the node to refuse.
  uint64_t next_generation_ = 2;
  std::unique_ptr<testing::IssuedCertificate> good_;
  uint64_t good_generation_ = 0;
};

struct Check {
  std::string name;
  // The sentence that a node is held to, and where it stands.
  std::string promise;
  std::string source;
  // OK, what was seen instead, or kUnimplemented where the transport does not allow to see it.
  std::function<absl::Status(Examiner&)> run;
  // In place of it, for a check that waits for long on connections of its own and changes nothing: run beside all
  // others, with their patience.
  std::function<absl::Status(Transport&, absl::Duration)> run_beside = nullptr;
};

// Of section 4 of the design: what goes over the link.
std::vector<Check> LinkChecks();
// Of sections 4 and 7: who may open a link, and how much he may send; over gRPC.
std::vector<Check> WireChecks();
// Of sections 4 and 5: nodes without a configuration of their own, which are told it over stdio.
std::vector<Check> HostedChecks();
// Of section 5, step verify: bundles that must be refused.
std::vector<Check> BundleChecks();
// Of section 4: HTTP challenges.
std::vector<Check> ChallengeChecks();
// Of sections 2 and 5: an install that goes well, and what may follow.
std::vector<Check> InstallChecks();
// Of sections 1, 2 and 5: what is on the disk.
std::vector<Check> FileChecks();
// Of section 5: the first install over what was there before, and its way back.
std::vector<Check> FirstInstallChecks();
// Of sections 2 and 5: what goes wrong on the way.
std::vector<Check> TroubleChecks();
// Of section 4: how long a node puts up with somebody; over gRPC, beside the others.
std::vector<Check> WaitingChecks();
// All, in the order in which they are run; those that are run beside the others come last.
std::vector<Check> AllChecks();

}  // namespace certcast::conformance

#endif  // CERTCAST_TESTS_CONFORMANCE_EXAMINER_H_
