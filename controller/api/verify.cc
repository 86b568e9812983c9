// What is served, seen from here: no agent is asked, no lease is taken, no key is opened.
#include "controller/rollout/verify.h"

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/api/counted_progress.h"
#include "controller/api/session.h"
#include "controller/store/records.h"
#include "google/protobuf/util/time_util.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kShortest = absl::Milliseconds(10);
constexpr absl::Duration kLongest = absl::Minutes(10);

absl::StatusOr<VerifyOptions> OptionsOf(const v1::VerifyRequest& request) {
  VerifyOptions options;
  if (!request.has_timeout()) return options;
  options.timeout = absl::Nanoseconds(google::protobuf::util::TimeUtil::DurationToNanoseconds(request.timeout()));
  if (options.timeout >= kShortest && options.timeout <= kLongest) return options;
  return FailInput(absl::StrCat("a timeout of ", absl::FormatDuration(options.timeout), " for a handshake"),
                   "10ms to 10m");
}

void Count(v1::VerifyResponse& response) {
  std::map<std::string, v1::VerifyResponse::Certificate*> certificates;
  for (v1::VerifyResponse::Certificate& entry : *response.mutable_certificates()) certificates[entry.name()] = &entry;
  for (const v1::VerifyResponse::Endpoint& endpoint : response.endpoints()) {
    v1::VerifyResponse::Certificate& certificate = *certificates.at(endpoint.certificate());
    certificate.set_total(certificate.total() + 1);
    certificate.set_converged(certificate.converged() + (endpoint.ok() ? 1 : 0));
    response.set_converged(response.converged() + (endpoint.ok() ? 1 : 0));
  }
  response.set_total(response.endpoints_size());
}

}  // namespace

absl::StatusOr<v1::VerifyResponse> Controller::Verify(const v1::VerifyRequest& request, const OnProgress& on_progress) {
  std::vector<std::string> names;
  if (!request.certificate().empty()) names.push_back(request.certificate());
  ASSIGN_OR_RETURN(auto selected, SelectCertificates(config_, names));
  ASSIGN_OR_RETURN(VerifyOptions options, OptionsOf(request));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, machine_.open_store(config_.state, /*make=*/false));
  v1::VerifyResponse response;
  std::vector<ExpectedEndpoint> endpoints;
  std::set<std::string> without;
  for (const CertificateConfig* certificate : selected) {
    ASSIGN_OR_RETURN(auto generation, GenerationRecords(*store).Wanted(certificate->name));
    v1::VerifyResponse::Certificate& shown = *response.add_certificates();
    shown.set_name(certificate->name);
    if (generation.has_value()) {
      shown.set_generation(generation->generation());
      shown.set_leaf_sha256(generation->leaf_sha256());
    }
    for (const NodeConfig* node : config_.NodesOf(*certificate)) {
      std::vector<ExpectedEndpoint> of_node =
          EndpointsOf(*node, certificate->name, certificate->DefaultServerName(), shown.leaf_sha256());
      if (of_node.empty()) without.insert(node->name);
      std::move(of_node.begin(), of_node.end(), std::back_inserter(endpoints));
    }
  }

  CountedProgress progress(v1::ApplyEvent::Progress::LOOKING, on_progress);
  options.on_look = [&](const v1::VerifyResponse::Endpoint& seen) { progress.End(seen.node(), seen.ok()); };
  for (v1::VerifyResponse::Endpoint& endpoint :
       VerifyEveryAddress(endpoints, *machine_.resolver, *machine_.prober, *machine_.clock, options,
                          [&](size_t lines) { progress.Begin(lines); })) {
    *response.add_endpoints() = std::move(endpoint);
  }
  Count(response);
  for (const std::string& node : without) response.add_nodes_without_endpoint(node);
  return response;
}

}  // namespace certcast::controller
