// The folder that a node is tested in: the fleet that it belongs to meanwhile, and what it looks after.
//
//   fleet.json ca.pem ca.key manifest.key   the fleet, and how the services are reached
//   stand-in/ newcomer/ blank/              three services, see stand_in.h
//   webroot/                                where HTTP challenges are shown, unless a listener does
//   state/                                  certcast-node's own
//   node.yaml                               the same for certcast-node, unless the node is hosted
#ifndef CERTCAST_TESTS_CONFORMANCE_SITE_H_
#define CERTCAST_TESTS_CONFORMANCE_SITE_H_

#include <array>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/v1/link.pb.h"
#include "common/probe/stream.h"
#include "tests/conformance/connection.h"
#include "tests/conformance/stand_in.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::conformance {

inline constexpr char kCertificate[] = "conformance";
inline constexpr char kService[] = "stand-in";
// Two services, and their certificates, for which whatever is installed is put back: one that had files before
// certcast, and one that had none.
inline constexpr char kNewcomer[] = "newcomer";
inline constexpr char kBlank[] = "blank";
inline constexpr char kAllowed[] = "*.conformance.test";
inline constexpr char kHost[] = "www.conformance.test";

// How many generations a node keeps beside the one in force.
inline constexpr int kKeep = 2;

struct SiteOptions {
  std::string node;
  // Of node.yaml; empty: none.
  std::string listen;
  // Where the node shows HTTP challenges; empty: in the webroot.
  std::string challenge_listen;
  // It has no configuration and is told what it looks after: there is no node.yaml.
  bool hosted = false;
};
// Makes a new fleet with one node in `folder`, which must be empty or missing.
absl::Status PrepareSite(const std::string& folder, const SiteOptions& options);

class Site {
 public:
  // What PrepareSite made. `folder` is made absolute.
  static absl::StatusOr<std::unique_ptr<Site>> Open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  // Of certcast-node.
  std::string state() const { return folder_ + "/state"; }
  const std::string& node() const { return node_; }
  const testing::TestFleet& fleet() const { return fleet_; }
  const testing::TestCa& fleet_ca() const { return fleet_ca_; }
  // What the node's certificates come from.
  const testing::TestCa& public_ca() const { return public_ca_; }

  // Whether it has no configuration of its own, and what it is told then.
  bool hosted() const { return hosted_; }
  v1::NodeDefinition Definition() const;

  // What `certcast nodes sign` prints for this request; INVALID_ARGUMENT when it is none.
  absl::StatusOr<std::string> Sign(absl::string_view csr_pem) const;
  // The controller's end of the link, or another's.
  Caller MakeController() const;
  Caller MakeNode(const std::string& name) const;
  // A certificate of the fleet's CA.
  Caller MakeCaller(const testing::CertificateSpec& spec) const;
  // A certificate that the node may have.
  testing::IssuedCertificate Issue() const;

  // The one that has a confirmed generation, and those that have none.
  const StandIn& service() const { return service_; }
  const StandIn& newcomer() const { return newcomer_; }
  const StandIn& blank() const { return blank_; }
  std::array<const StandIn*, 3> services() const { return {&service_, &newcomer_, &blank_}; }
  // All serve from now on. Once.
  absl::Status StartServices();
  // What the service's clients see; empty when there is no handshake.
  std::string Served() const { return service_.Served(kHost); }

  // --- HTTP challenges.

  // As in Inventory.http_challenge.
  std::string challenge_place() const;
  bool challenges_by_listener() const { return !challenge_listen_.empty(); }
  // What a CA gets at /.well-known/acme-challenge/TOKEN; nullopt: nothing. Of a webroot: what a web server that runs as
  // another user would send.
  std::optional<std::string> ShownAt(const std::string& token) const;
  // Whether somebody listens there. Of a webroot: false.
  bool ChallengeListens() const;

 private:
  Site(std::string folder, const nlohmann::json& about, testing::TestFleet fleet, testing::TestCa fleet_ca);
  absl::StatusOr<std::unique_ptr<TcpStream>> ConnectToListener() const;

  const std::string folder_;
  const std::string node_;
  const std::string challenge_listen_;
  const bool hosted_;
  const testing::TestFleet fleet_;
  const testing::TestCa fleet_ca_;
  const testing::TestCa public_ca_ = testing::TestCa::Root("conformance root").Intermediate("conformance CA");
  StandIn service_;
  StandIn newcomer_;
  StandIn blank_;
};

}  // namespace certcast::conformance

#endif  // CERTCAST_TESTS_CONFORMANCE_SITE_H_
