// The folder that a node is tested in: the fleet that it belongs to meanwhile, and a service that it looks after.
//
//   fleet.json ca.pem ca.key manifest.key   the fleet, and how the service is reached
//   tls/fullchain.pem tls/privkey.pem       what the node installs
//   check reload                            the service's commands; each run is noted in `log`
//   node.yaml                               the same for certcast-node
#ifndef CERTCAST_TESTS_CONFORMANCE_SITE_H_
#define CERTCAST_TESTS_CONFORMANCE_SITE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/conformance/connection.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::conformance {

inline constexpr char kCertificate[] = "conformance";
inline constexpr char kService[] = "stand-in";
inline constexpr char kAllowed[] = "*.conformance.test";
inline constexpr char kHost[] = "www.conformance.test";

// Makes a new fleet with one node in `folder`, which must be empty or missing. node.yaml has `listen` where it is not
// empty.
absl::Status PrepareSite(const std::string& folder, const std::string& node, const std::string& listen);

class Site {
 public:
  // What PrepareSite made. `folder` is made absolute.
  static absl::StatusOr<std::unique_ptr<Site>> Open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  const std::string& node() const { return node_; }
  const testing::TestFleet& fleet() const { return fleet_; }
  const testing::TestCa& fleet_ca() const { return fleet_ca_; }
  // What the node's certificates come from.
  const testing::TestCa& public_ca() const { return public_ca_; }

  // What `certcast nodes sign` prints for this request; INVALID_ARGUMENT when it is none.
  absl::StatusOr<std::string> Sign(absl::string_view csr_pem) const;
  // The controller's end of the link, or another's.
  Caller MakeController() const;
  Caller MakeNode(const std::string& name) const;
  // A certificate that the node may have.
  testing::IssuedCertificate Issue() const;

  // --- The service.

  // Serves from now on what was there before; files that a node installed stay. Once.
  absl::Status StartService();
  // From now on: how the check and the reload end, and whether a reload does anything. At first all is well.
  struct Behaviour {
    bool check_fails = false;
    bool reload_fails = false;
    bool ignores_reload = false;
    // The reload waits until Release.
    bool reload_waits = false;
  };
  absl::Status Behave(const Behaviour& behaviour);
  absl::Status Release() const;
  // "check reload": what was run since the last ForgetRuns, in order.
  std::string Runs() const;
  void ForgetRuns() const;
  // What the commands could see of their environment, and the files as they were when the check last ran.
  std::string EnvironmentOfRuns() const;
  std::string LeafAtCheck() const;

  // Fingerprint in the files as a service reads them, "nothing", or what is wrong with them.
  std::string Installed() const;
  // As the server's clients see it; empty when there is no handshake.
  std::string Served() const;
  std::string FilePath(absl::string_view name) const;

 private:
  Site(std::string folder, std::string node, int port, testing::TestFleet fleet, testing::TestCa fleet_ca)
      : folder_(std::move(folder)),
        node_(std::move(node)),
        port_(port),
        fleet_(std::move(fleet)),
        fleet_ca_(std::move(fleet_ca)) {}
  Caller MakeCaller(const testing::CertificateSpec& spec) const;
  absl::Status WriteCommand(const std::string& name, const std::string& lines) const;

  const std::string folder_;
  const std::string node_;
  const int port_;
  const testing::TestFleet fleet_;
  const testing::TestCa fleet_ca_;
  const testing::TestCa public_ca_ = testing::TestCa::Root("conformance root").Intermediate("conformance CA");
  std::unique_ptr<testing::ReloadingTlsServer> server_;
};

}  // namespace certcast::conformance

#endif  // CERTCAST_TESTS_CONFORMANCE_SITE_H_
