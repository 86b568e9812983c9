#include "tests/testing/bind.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

// base64 of 32 bytes.
constexpr char kSecret[] = "VGhpcyBpcyAzMiBieXRlcyBsb25nLCBmb3IgdGVzdHM=";

// $0 folder, $1 port, $2 secret.
constexpr absl::string_view kConfig = R"(options {
  directory "$0";
  pid-file none;
  session-keyfile none;
  managed-keys-directory "$0";
  listen-on port $1 { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion yes;
  forward only;
  forwarders { 127.0.0.1 port 9; };
  dnssec-validation no;
  notify no;
  allow-transfer { none; };
};
controls { };
key "certcast." { algorithm hmac-sha256; secret "$2"; };
key "powerless." { algorithm hmac-sha256; secret "$2"; };
)";

// $0 name, $1 policy.
constexpr absl::string_view kZone = R"(zone "$0" { type primary; file "$0.zone"; $1 };
)";

// $0 name, $1 records.
constexpr absl::string_view kZoneFile = R"($$ORIGIN $0.
$$TTL 60
@ SOA ns.$0. ops.$0. 1 3600 600 86400 60
@ NS ns.$0.
ns A 127.0.0.1
$1
)";

}  // namespace

absl::StatusOr<std::unique_ptr<Bind>> Bind::Start(const std::string& folder, const std::vector<BindZone>& zones) {
  ASSIGN_OR_RETURN(const int port, FreePort("127.0.0.1"));
  std::unique_ptr<Bind> bind(new Bind(folder, absl::StrCat("127.0.0.1:", port)));
  DaemonPlan plan;
  std::string config = absl::Substitute(kConfig, folder, port, kSecret);
  for (const BindZone& zone : zones) {
    absl::StrAppend(&config,
                    absl::Substitute(kZone, zone.name,
                                     zone.takes_updates ? absl::StrCat("update-policy { grant certcast. subdomain ",
                                                                       zone.name, ". TXT; };")
                                                        : ""));
    plan.files.push_back({.path = absl::StrCat(folder, "/", zone.name, ".zone"),
                          .text = absl::Substitute(kZoneFile, zone.name, absl::StrJoin(zone.records, "\n")),
                          .owner = ""});
  }
  plan.files.push_back({.path = folder + "/named.conf", .text = config, .owner = ""});
  plan.argv = {"named", "-g", "-n", "1", "-c", folder + "/named.conf"};
  plan.address = bind->address_;
  plan.says = "running";
  RETURN_IF_ERROR(WriteFile(bind->key_file(), absl::StrCat(kSecret, "\n")));
  ASSIGN_OR_RETURN(bind->daemon_, Daemon::Start(std::move(plan), folder + "/named.log"));
  return bind;
}

}  // namespace certcast::testing
