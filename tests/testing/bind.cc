#include "tests/testing/bind.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

// base64 of 32 bytes.
constexpr char kSecret[] = "VGhpcyBpcyAzMiBieXRlcyBsb25nLCBmb3IgdGVzdHM=";

// $0 folder, $1 address, $2 port, $3 secret.
constexpr absl::string_view kConfig = R"(options {
  directory "$0";
  pid-file none;
  session-keyfile none;
  managed-keys-directory "$0";
  listen-on port $2 { $1; };
  listen-on-v6 { none; };
  recursion yes;
  forward only;
  forwarders { 127.0.0.1 port 9; };
  dnssec-validation no;
  notify no;
  allow-transfer { none; };
};
controls { };
key "certcast." { algorithm hmac-sha256; secret "$3"; };
key "powerless." { algorithm hmac-sha256; secret "$3"; };
)";

// $0 name, $1 policy.
constexpr absl::string_view kZone = R"(zone "$0" { type primary; file "$0.zone"; $1 };
)";

// $0 name, $1 the primary's address, $2 its port.
constexpr absl::string_view kCopiedZone = R"(zone "$0" {
  type secondary; file "$0.zone"; primaries { $1 port $2; }; min-refresh-time 1; max-refresh-time 2;
};
)";

// $0 name, $1 the server's address, $2 records.
constexpr absl::string_view kZoneFile = R"($$ORIGIN $0.
$$TTL 60
@ SOA ns.$0. ops.$0. 1 3600 600 86400 60
@ NS ns.$0.
ns A $1
$2
)";

std::string ZoneFile(const BindZone& zone, const BindOptions& options) {
  std::vector<std::string> records = zone.records;
  for (size_t i = 0; i < options.secondaries.size(); ++i) {
    records.push_back(absl::Substitute("@ NS ns$0", i + 2));
    records.push_back(absl::Substitute("ns$0 A $1", i + 2, options.secondaries[i]));
  }
  return absl::Substitute(kZoneFile, zone.name, options.host, absl::StrJoin(records, "\n"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Bind>> Bind::Start(const std::string& folder, const std::vector<BindZone>& zones,
                                                  const BindOptions& options) {
  DaemonPlan plan;
  std::string config;
  for (const BindZone& zone : zones) {
    std::string policy;
    if (zone.takes_updates)
      policy = absl::Substitute("update-policy { grant certcast. subdomain $0. TXT; };", zone.name);
    if (!options.secondaries.empty()) absl::StrAppend(&policy, " allow-transfer { 127.0.0.0/8; };");
    absl::StrAppend(&config, absl::Substitute(kZone, zone.name, policy));
    plan.files.push_back(
        {.path = absl::StrCat(folder, "/", zone.name, ".zone"), .text = ZoneFile(zone, options), .owner = ""});
  }
  plan.says = "running";
  return Launch(folder, options, config, std::move(plan));
}

absl::StatusOr<std::unique_ptr<Bind>> Bind::StartSecondary(const std::string& folder,
                                                           const std::vector<BindZone>& zones,
                                                           const std::string& primary, const BindOptions& options) {
  const std::vector<std::string> host_and_port = absl::StrSplit(primary, ':');
  DaemonPlan plan;
  std::string config;
  for (const BindZone& zone : zones) {
    absl::StrAppend(&config, absl::Substitute(kCopiedZone, zone.name, host_and_port[0], host_and_port[1]));
    plan.says = absl::Substitute("transfer of '$0/IN' from $1#$2: Transfer completed", zone.name, host_and_port[0],
                                 host_and_port[1]);
  }
  return Launch(folder, options, config, std::move(plan));
}

absl::StatusOr<std::unique_ptr<Bind>> Bind::Launch(const std::string& folder, const BindOptions& options,
                                                   const std::string& zones, DaemonPlan plan) {
  int port = options.port;
  if (port == 0) {
    ASSIGN_OR_RETURN(port, FreePort(options.host));
  }
  std::unique_ptr<Bind> bind(new Bind(folder, absl::StrCat(options.host, ":", port)));
  plan.files.push_back({.path = folder + "/named.conf",
                        .text = absl::Substitute(kConfig, folder, options.host, port, kSecret) + zones,
                        .owner = ""});
  plan.argv = {"named", "-g", "-n", "1", "-c", folder + "/named.conf"};
  plan.address = bind->address_;
  RETURN_IF_ERROR(WriteFile(bind->key_file(), absl::StrCat(kSecret, "\n")));
  ASSIGN_OR_RETURN(bind->daemon_, Daemon::Start(std::move(plan), folder + "/named.log"));
  return bind;
}

}  // namespace certcast::testing
