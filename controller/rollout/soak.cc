#include "controller/rollout/soak.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/rollout/fleet_status.h"
#include "controller/rollout/verify.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kRound = absl::Seconds(10);
constexpr double kLooksASecond = 50;
// At a node whose first one was not good.
constexpr int kFurtherLooks = 4;
constexpr absl::Duration kPause = absl::Milliseconds(500);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(30);

struct Look {
  bool good = false;
  bool answered = false;
  std::string detail;
  std::string served_sha256;
};

size_t LooksIn(size_t nodes, absl::Duration soak) {
  const absl::Duration round = std::max(kRound, absl::Seconds(static_cast<double>(nodes) / kLooksASecond));
  return nodes * static_cast<size_t>(std::max<int64_t>(1, soak / round));
}

// As the node itself sees it.
Look AskNode(const NodeConfig& node, const NodeRunContext& context) {
  WantedCertificate wanted;
  wanted.name = context.subject.certificate;
  wanted.generation = context.subject.generation;
  wanted.leaf_sha256 = context.subject.leaf_sha256;
  wanted.nodes = {&node};
  FleetStatusOptions options;
  options.parallel = 1;
  options.answer_timeout = std::min(kAnswerTimeout, context.policy.node_timeout);
  options.connect_timeout = std::min(options.connect_timeout, options.answer_timeout);
  options.epoch = context.epoch;
  const v1::StatusResponse::Node row = AskFleet({wanted}, *context.transport, *context.clock, options).rows.front();
  return {.good = row.state() == v1::StatusResponse::Node::CONVERGED,
          .answered = row.state() != v1::StatusResponse::Node::UNREACHABLE,
          .detail = absl::StrCat("as the node sees it: ", row.detail()),
          .served_sha256 = row.served_sha256()};
}

Look LookFromHere(const NodeConfig& node, const NodeRunContext& context) {
  VerifyOptions options;
  options.parallel = kLooksAtANode;
  Look look = {.good = true};
  for (const v1::VerifyResponse::Endpoint& endpoint : VerifyEndpoints(
           EndpointsOf(node, context.subject.certificate, context.default_server_name, context.subject.leaf_sha256),
           *context.prober, *context.clock, options)) {
    look.answered |= !endpoint.served_sha256().empty();
    if (look.good && !endpoint.served_sha256().empty()) look.served_sha256 = endpoint.served_sha256();
    if (endpoint.ok() || !look.good) continue;
    look.good = false;
    look.detail =
        absl::StrCat(endpoint.address(), " ", endpoint.server_name(), " seen from the controller: ", endpoint.detail());
  }
  return look;
}

Look LookOnce(const NodeConfig& node, const NodeRunContext& context) {
  return node.verify.empty() ? AskNode(node, context) : LookFromHere(node, context);
}

}  // namespace

SoakPlan::SoakPlan(size_t nodes, absl::Duration soak) : soak_(soak), looks_(LooksIn(nodes, soak)) {
}

size_t SoakPlan::DueAfter(absl::Duration elapsed) const {
  if (elapsed >= soak_) return looks_;
  return static_cast<size_t>(absl::FDivDuration(elapsed, soak_) * static_cast<double>(looks_));
}

SoakFinding LookAgain(const NodeConfig& node, const NodeRunContext& context) {
  Look look = LookOnce(node, context);
  SoakFinding finding = {.detail = look.detail, .served_sha256 = look.served_sha256};
  if (look.good) return finding;
  bool answered = look.answered;
  int good = 0;
  for (int i = 0; i < kFurtherLooks; ++i) {
    context.clock->Sleep(kPause);
    look = LookOnce(node, context);
    answered |= look.answered;
    good += look.good;
    if (look.good) continue;
    finding.detail = look.detail;
    finding.served_sha256 = look.served_sha256;
  }
  // A single handshake may be lost on the way.
  if (good == kFurtherLooks) return {.served_sha256 = look.served_sha256};
  if (good > 0) {
    finding.kind = SoakFinding::Kind::kByTurns;
    finding.detail = absl::StrCat("served it in ", good, " looks of ", kFurtherLooks + 1, ": ", finding.detail);
    return finding;
  }
  const bool silent = !answered && (node.verify.empty() || !AskNode(node, context).answered);
  finding.kind = silent ? SoakFinding::Kind::kUnknown : SoakFinding::Kind::kGone;
  return finding;
}

bool KeepFinding(const SoakFinding& finding, v1::Rollout::Node& result) {
  switch (finding.kind) {
    case SoakFinding::Kind::kServes:
      return false;
    case SoakFinding::Kind::kGone:
      result.set_outcome(v1::Outcome::FAILED);
      result.set_reason(v1::Reason::VERIFY_FAILED);
      break;
    case SoakFinding::Kind::kByTurns:
      result.set_outcome(v1::Outcome::FAILED);
      result.set_reason(v1::Reason::PROBE_INCONCLUSIVE);
      break;
    case SoakFinding::Kind::kUnknown:
      result.set_outcome(v1::Outcome::UNREACHABLE);
      result.set_reason(v1::Reason::LINK_LOST);
      break;
  }
  result.set_step("soak");
  result.set_detail(absl::StrCat("was good, and then: ", finding.detail));
  if (!finding.served_sha256.empty()) result.set_served_sha256(finding.served_sha256);
  return true;
}

}  // namespace certcast::controller
