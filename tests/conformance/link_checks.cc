#include <unistd.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/link/bounds.h"
#include "common/status/status.h"
#include "google/protobuf/unknown_field_set.h"
#include "tests/conformance/examiner.h"

namespace certcast::conformance {
namespace {

constexpr char kLink[] = "design 4; link.proto";

absl::Status NothingHappened(Examiner& examiner) {
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), ""));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status ExpectMalformed(Examiner& examiner, const v1::Command& command) {
  ASSIGN_OR_RETURN(const v1::Failure failure, examiner.Refusal(command));
  return ExpectSame("the reason", v1::Reason::Code_Name(failure.reason()), "MALFORMED");
}

absl::Status SaysHello(Examiner& examiner) {
  v1::Report hello;
  examiner.CutLink();
  RETURN_IF_ERROR(examiner.OpenLink(&hello).status());
  RETURN_IF_ERROR(ExpectSame("Hello's command_id", hello.command_id(), ""));
  const bool hosted = examiner.site().hosted();
  RETURN_IF_ERROR(Expect(hello.hello().hosted() == hosted,
                         absl::StrCat("Hello calls it ", hosted ? "one with a configuration" : "hosted")));
  RETURN_IF_ERROR(ExpectSame("Hello's node", hello.hello().node(), hosted ? "" : examiner.site().node()));
  RETURN_IF_ERROR(ExpectSame("Hello's fleet_id", hello.hello().fleet_id(), hosted ? "" : examiner.site().fleet().id()));
  return Expect(!hello.hello().version().empty(), "Hello has no version");
}

absl::Status Describes(Examiner& examiner) {
  ASSIGN_OR_RETURN(const v1::Inventory inventory, examiner.Describe());
  RETURN_IF_ERROR(ExpectSame("node", inventory.node(), examiner.site().node()));
  RETURN_IF_ERROR(ExpectSame("fleet_id", inventory.fleet_id(), examiner.site().fleet().id()));
  RETURN_IF_ERROR(Expect(inventory.allow_names_size() == 1 && inventory.allow_names(0) == kAllowed,
                         "allow_names is not what the node allows"));
  const double behind = std::abs(static_cast<double>(inventory.clock().seconds() - absl::ToUnixSeconds(absl::Now())));
  RETURN_IF_ERROR(Expect(behind < 300, absl::StrCat("its clock is ", behind, " s away from this one")));
  RETURN_IF_ERROR(Expect(inventory.probes().empty(), "Describe probed"));
  RETURN_IF_ERROR(Expect(inventory.services_size() == 3, "there are not three services"));
  ASSIGN_OR_RETURN(const v1::Inventory::Service service, examiner.LookAtService(examiner.service()));
  RETURN_IF_ERROR(ExpectSame("installed_sha256", service.installed_sha256(), examiner.good().certificate.sha256()));
  RETURN_IF_ERROR(Expect(service.drift().empty(), "drift is reported where there is none"));
  RETURN_IF_ERROR(Expect(service.obstacles().empty(), "obstacles are reported where there are none"));
  return NothingHappened(examiner);
}

absl::Status Probes(Examiner& examiner) {
  v1::Command command = examiner.NewCommand();
  command.mutable_probe()->set_certificate(kCertificate);
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(command));
  RETURN_IF_ERROR(Expect(report.inventory().probes_size() == 1, "there is not one result for the one probe"));
  const v1::ProbeResult& probe = report.inventory().probes(0);
  RETURN_IF_ERROR(Expect(probe.ok(), absl::StrCat("the probe is not ok: ", probe.detail())));
  RETURN_IF_ERROR(ExpectSame("served_sha256", probe.served_sha256(), examiner.good().certificate.sha256()));
  return NothingHappened(examiner);
}

absl::Status RefusesAnUnknownCommand(Examiner& examiner) {
  v1::Command command = examiner.NewCommand();
  command.GetReflection()->MutableUnknownFields(&command)->AddLengthDelimited(4000, "from the future");
  RETURN_IF_ERROR(ExpectMalformed(examiner, command));
  return NothingHappened(examiner);
}

absl::Status ToleratesUnknownFields(Examiner& examiner) {
  v1::Command command = examiner.NewDescribe();
  command.GetReflection()->MutableUnknownFields(&command)->AddLengthDelimited(4000, "from the future");
  v1::Describe& describe = *command.mutable_describe();
  describe.GetReflection()->MutableUnknownFields(&describe)->AddVarint(4001, 7);
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(command));
  return Expect(report.has_inventory(), "the answer is no inventory");
}

// What a node has to run comes from its own configuration; one that has it takes no other.
absl::Status RefusesADefinition(Examiner& examiner, const std::string& proof) {
  v1::Command command = examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration());
  v1::NodeDefinition& definition = *command.mutable_definition();
  definition = examiner.site().Definition();
  definition.set_state(examiner.site().folder() + "/other-state");
  definition.set_services_yaml(
      absl::StrCat("- {name: ", kService, ", certificate: ", kCertificate, ", files: [{path: ", proof,
                   ".pem, content: combined}], check: [/usr/bin/touch, ", proof, "], reload: [/usr/bin/touch, ", proof,
                   "], probes: [{tls: {address: \"127.0.0.1:443\", server_name: ", kHost, "}}]}\n"));
  ASSIGN_OR_RETURN(const v1::Failure failure, examiner.Refusal(command));
  RETURN_IF_ERROR(ExpectSame("the reason", v1::Reason::Code_Name(failure.reason()), "DEFINITION_REFUSED"));
  RETURN_IF_ERROR(Expect(access(proof.c_str(), F_OK) != 0, "a command of a definition that was refused was run"));
  return NothingHappened(examiner);
}

// In every field that Install does not have now, and inside of the bundle: text that would be a command.
absl::Status RunsNothingFromTheWire(Examiner& examiner) {
  const std::string proof = examiner.site().folder() + "/run-by-the-node";
  RETURN_IF_ERROR(RefusesADefinition(examiner, proof));
  const std::string line = absl::StrCat("touch ", proof, "; $(touch ", proof, ")");
  v1::Command command = examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration());
  v1::Install& install = *command.mutable_install();
  for (int field = 20; field < 40; ++field) {
    install.GetReflection()->MutableUnknownFields(&install)->AddLengthDelimited(field, line);
  }
  command.set_id(command.id() + "`" + line.substr(0, 5) + "`");
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(command));
  RETURN_IF_ERROR(Expect(access(proof.c_str(), F_OK) != 0, "a command that came over the wire was run"));
  RETURN_IF_ERROR(Expect(report.has_refusal() || examiner.service().Runs() == "check reload",
                         absl::StrCat("what was run is ", examiner.service().Runs())));
  return absl::OkStatus();
}

absl::Status BoundsIds(Examiner& examiner) {
  for (const std::string& id : {std::string(), std::string(65, 'x')}) {
    v1::Command command = examiner.NewDescribe();
    command.set_id(id);
    RETURN_IF_ERROR(ExpectMalformed(examiner, command));
  }
  return absl::OkStatus();
}

absl::Status BoundsMessages(Examiner& examiner) {
  v1::Command command = examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration());
  command.mutable_install()->mutable_bundle()->mutable_fullchain_pem()->append(kMaxLinkMessage, 'x');
  ASSIGN_OR_RETURN(Connection* const link, examiner.Link());
  // It may end the link while this is still being sent.
  (void)link->Send(command);
  const absl::StatusOr<v1::Report> report = link->Next(examiner.patience());
  RETURN_IF_ERROR(Expect(!absl::IsDeadlineExceeded(report.status()), "the node neither answers nor ends the link"));
  RETURN_IF_ERROR(Expect(!report.ok(), "the node took a message of more than 1 MiB"));
  examiner.CutLink();
  return NothingHappened(examiner);
}

absl::Status SurvivesGarbage(Examiner& examiner) {
  for (const std::string& bytes :
       {std::string(64, '\xff'), std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\x05\xff\xff\xff\xff\xff", 6),
        std::string("\x80\x80\x80\x80\x10", 5)}) {
    examiner.CutLink();
    ASSIGN_OR_RETURN(Connection* const link, examiner.Link());
    absl::Status sent = link->SendBytes(bytes);
    if (absl::IsUnimplemented(sent)) return sent;
    const absl::StatusOr<v1::Report> report = link->Next(absl::Seconds(5));
    RETURN_IF_ERROR(Expect(!report.ok() || report->has_refusal(), "garbage was taken for a command"));
  }
  examiner.CutLink();
  return NothingHappened(examiner);
}

absl::Status RefusesALowerEpoch(Examiner& examiner) {
  const testing::IssuedCertificate issued = examiner.site().Issue();
  for (v1::Command command : {examiner.NewInstall(issued, examiner.NextGeneration()),
                              examiner.NewConfirm(examiner.good(), examiner.good_generation()),
                              examiner.NewRevert(examiner.good_generation())}) {
    command.set_epoch(examiner.epoch() - 1);
    ASSIGN_OR_RETURN(const v1::Failure failure, examiner.Refusal(command));
    RETURN_IF_ERROR(ExpectSame("the reason", v1::Reason::Code_Name(failure.reason()), "STALE_EPOCH"));
  }
  v1::Command describe = examiner.NewDescribe();
  describe.set_epoch(0);
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(describe));
  RETURN_IF_ERROR(Expect(report.has_inventory(), "Describe of a lower epoch is refused"));
  return NothingHappened(examiner);
}

absl::Status AnswersInOrder(Examiner& examiner) {
  ASSIGN_OR_RETURN(Connection* const link, examiner.Link());
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    const v1::Command command = examiner.NewDescribe();
    ids.push_back(command.id());
    RETURN_IF_ERROR(link->Send(command));
  }
  for (const std::string& id : ids) {
    ASSIGN_OR_RETURN(const v1::Report report, link->Next(examiner.patience()));
    RETURN_IF_ERROR(ExpectSame("the next report's command_id", report.command_id(), id));
  }
  return absl::OkStatus();
}

absl::Status SaysNoProgress(Examiner& examiner) {
  const testing::IssuedCertificate issued = examiner.site().Issue();
  v1::Command command = examiner.NewInstall(issued, examiner.NextGeneration());
  command.set_without_progress(true);
  std::vector<std::string> steps;
  ASSIGN_OR_RETURN(const v1::InstallResult result, examiner.Change(command, &steps));
  RETURN_IF_ERROR(ExpectSame("the Progress", absl::StrJoin(steps, " "), ""));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(result, "INSTALLED"));
  return examiner.ExpectInForce(issued, /*confirmed=*/false);
}

}  // namespace

std::vector<Check> LinkChecks() {
  return {
      {"link.hello",
       "The first Report on a link is a Hello with an empty command_id: node, version, fleet; or that it is hosted.",
       kLink, SaysHello},
      {"link.describe", "Describe is answered by an Inventory, without probing, and changes nothing.", kLink,
       Describes},
      {"link.probe", "Probe is answered by an Inventory with fresh probes, and changes nothing.", kLink, Probes},
      {"link.order", "The commands of one link are handled in order; each has one final Report with its id.", kLink,
       AnswersInOrder},
      {"link.no-progress", "A command that wants no Progress gets its final Report alone, and is done all the same.",
       "link.proto", SaysNoProgress},
      {"link.unknown-command", "A command that the node does not know is refused (MALFORMED); the link goes on.", kLink,
       RefusesAnUnknownCommand},
      {"link.unknown-fields", "Fields that the node does not know are passed over.", kLink, ToleratesUnknownFields},
      {"link.no-commands", "Nothing that came over the wire is run, or becomes part of what is.", "design 2.6, 2.8",
       RunsNothingFromTheWire},
      {"link.id-bounds", "A command's id has 1 to 64 characters.", kLink, BoundsIds},
      {"link.message-bounds", "A message of more than 1 MiB is refused, and nothing changes.", "design 2.9, 4",
       BoundsMessages},
      {"link.garbage", "Bytes that are no message end the link and change nothing.", "design 2.9, 4", SurvivesGarbage},
      {"link.epoch", "Install, Confirm and Revert of a lower epoch are refused (STALE_EPOCH); looking is not.",
       "design 6; link.proto", RefusesALowerEpoch},
  };
}

}  // namespace certcast::conformance
