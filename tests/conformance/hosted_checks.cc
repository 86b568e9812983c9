#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"

namespace certcast::conformance {
namespace {

constexpr char kHosted[] = "link.proto, NodeDefinition";

v1::Command With(v1::Command command, const v1::NodeDefinition& definition) {
  *command.mutable_definition() = definition;
  return command;
}

// Which must be refused; one that is not goes back soon, since its link is cut.
v1::Command NewInstall(Examiner& examiner) {
  return examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration(), absl::Seconds(2));
}

// By a refusal, or by a result that is none.
absl::Status ExpectRefused(const v1::Report& report, absl::string_view reason) {
  const v1::Failure& failure = report.has_refusal() ? report.refusal().failure() : report.install_result().failure();
  RETURN_IF_ERROR(
      Expect(report.has_refusal() || report.install_result().outcome() == v1::Outcome::FAILED, "it is not refused"));
  return ExpectSame("the reason", v1::Reason::Code_Name(failure.reason()), reason);
}

// On a link of its own, whose first command has this definition.
absl::Status ExpectFirstRefused(Examiner& examiner, const v1::NodeDefinition& definition, absl::string_view reason) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link, examiner.OpenUntoldLink());
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(With(NewInstall(examiner), definition), nullptr, link.get()));
  return ExpectRefused(report, reason);
}

// Nothing was run, and what was in force is.
absl::Status ExpectUnchanged(Examiner& examiner) {
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), ""));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status WantsToBeTold(Examiner& examiner) {
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link, examiner.OpenUntoldLink());
    for (const v1::Command& command : {examiner.NewDescribe(), NewInstall(examiner)}) {
      ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(command, nullptr, link.get()));
      RETURN_IF_ERROR(ExpectRefused(report, "DEFINITION_REFUSED"));
    }
    ASSIGN_OR_RETURN(const v1::Report told,
                     examiner.Call(With(examiner.NewDescribe(), examiner.site().Definition()), nullptr, link.get()));
    RETURN_IF_ERROR(Expect(told.has_inventory(), "the link does not go on with a command that defines it"));
  }
  return ExpectUnchanged(examiner);
}

absl::Status TakesTheSameAgain(Examiner& examiner) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link, examiner.OpenUntoldLink());
  for (int i = 0; i < 2; ++i) {
    ASSIGN_OR_RETURN(const v1::Report report,
                     examiner.Call(With(examiner.NewDescribe(), examiner.site().Definition()), nullptr, link.get()));
    RETURN_IF_ERROR(Expect(report.has_inventory(), "the same definition is refused"));
  }
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(examiner.NewDescribe(), nullptr, link.get()));
  return Expect(report.has_inventory(), "a later command without one is refused");
}

absl::Status TakesNoSecond(Examiner& examiner) {
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link, examiner.OpenUntoldLink());
    v1::NodeDefinition definition = examiner.site().Definition();
    RETURN_IF_ERROR(examiner.Call(With(examiner.NewDescribe(), definition), nullptr, link.get()).status());
    definition.add_allow_names("*.bank.test");
    ASSIGN_OR_RETURN(const v1::Report report,
                     examiner.Call(With(NewInstall(examiner), definition), nullptr, link.get()));
    RETURN_IF_ERROR(ExpectRefused(report, "DEFINITION_REFUSED"));
  }
  return ExpectUnchanged(examiner);
}

absl::Status StaysWithItsFleet(Examiner& examiner) {
  v1::NodeDefinition definition = examiner.site().Definition();
  definition.set_fleet_id("c0f00000-0000-4000-8000-000000000000");
  RETURN_IF_ERROR(Annotate(ExpectFirstRefused(examiner, definition, "FOREIGN_FLEET"), "another fleet's"));
  definition = examiner.site().Definition();
  definition.set_manifest_key_pem(testing::TestFleet(definition.fleet_id()).key().ToPem());
  RETURN_IF_ERROR(Annotate(ExpectFirstRefused(examiner, definition, "FOREIGN_FLEET"), "with another manifest key"));
  return ExpectUnchanged(examiner);
}

absl::Status RefusesWhatIsNone(Examiner& examiner) {
  using Spoil = std::function<void(v1::NodeDefinition&)>;
  const std::vector<std::pair<const char*, Spoil>> spoils = {
      {"an empty one", [](v1::NodeDefinition& definition) { definition.Clear(); }},
      {"a node's name that is none", [](v1::NodeDefinition& definition) { definition.set_node("../etc"); }},
      {"a relative state", [](v1::NodeDefinition& definition) { definition.set_state("state"); }},
      {"a manifest key that is none", [](v1::NodeDefinition& definition) { definition.set_manifest_key_pem("key"); }},
      {"no allowed names", [](v1::NodeDefinition& definition) { definition.clear_allow_names(); }},
      {"keep of none", [](v1::NodeDefinition& definition) { definition.set_keep(0); }},
      {"services that are no list", [](v1::NodeDefinition& definition) { definition.set_services_yaml("a: b\n"); }},
      {"services that are no YAML", [](v1::NodeDefinition& definition) { definition.set_services_yaml("- {"); }},
      {"a service with a file at a relative path",
       [](v1::NodeDefinition& definition) {
         definition.set_services_yaml(absl::StrCat("- {name: web, certificate: ", kCertificate,
                                                   ", files: [{path: tls.pem, content: combined}], reload: [/bin/true],"
                                                   " probes: [{command: [/bin/true]}]}\n"));
       }},
      {"services of more than 256 KiB",
       [](v1::NodeDefinition& definition) {
         definition.mutable_services_yaml()->append("# " + std::string(size_t{256} * 1024, 'x') + "\n");
       }},
  };
  for (const auto& [what, spoil] : spoils) {
    v1::NodeDefinition definition = examiner.site().Definition();
    spoil(definition);
    RETURN_IF_ERROR(Annotate(ExpectFirstRefused(examiner, definition, "MALFORMED"), what));
  }
  return ExpectUnchanged(examiner);
}

absl::Status GoesByIt(Examiner& examiner) {
  v1::NodeDefinition definition = examiner.site().Definition();
  definition.set_allow_names(0, "*.bank.test");
  RETURN_IF_ERROR(Annotate(ExpectFirstRefused(examiner, definition, "NAME_NOT_ALLOWED"), "with other allow_names"));
  definition = examiner.site().Definition();
  definition.set_services_yaml(examiner.site().newcomer().InNodeYaml(kHost));
  RETURN_IF_ERROR(Annotate(ExpectFirstRefused(examiner, definition, "NOT_DECLARED"), "without the service"));
  return ExpectUnchanged(examiner);
}

}  // namespace

std::vector<Check> HostedChecks() {
  return {
      {"hosted.untold", "A node without a configuration refuses commands that do not define it (DEFINITION_REFUSED).",
       kHosted, WantsToBeTold},
      {"hosted.again", "The definition may come again on its link, and need not.", kHosted, TakesTheSameAgain},
      {"hosted.another", "Another one on the same link is refused (DEFINITION_REFUSED), and nothing changes.", kHosted,
       TakesNoSecond},
      {"hosted.fleet", "It stays with the fleet and the manifest key of its first contact (FOREIGN_FLEET).", kHosted,
       StaysWithItsFleet},
      {"hosted.malformed", "A definition that is none is refused (MALFORMED), and nothing changes.", kHosted,
       RefusesWhatIsNone},
      {"hosted.followed", "Allowed names and services are those of the definition.", kHosted, GoesByIt},
  };
}

}  // namespace certcast::conformance
