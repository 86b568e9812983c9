#include "tests/bench/own_issuance.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/clock/clock.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "common/x509/private_key.h"
#include "controller/acme/curl_http_client.h"
#include "controller/acme/issuer.h"
#include "controller/acme/ldns_dns_client.h"
#include "controller/config/config.h"
#include "controller/keyring/keyring.h"
#include "controller/store/sqlite_store.h"
#include "tests/testing/pebble.h"

namespace certcast::bench {
namespace {

using controller::CertificateConfig;

// Counts what goes through it. Thread-safe.
class CountingHttpClient final : public controller::HttpClient {
 public:
  explicit CountingHttpClient(std::unique_ptr<controller::HttpClient> client) : client_(std::move(client)) {}

  absl::StatusOr<controller::HttpResponse> Perform(const controller::HttpRequest& request) override {
    ++requests_;
    return client_->Perform(request);
  }
  int requests() const { return requests_; }

 private:
  const std::unique_ptr<controller::HttpClient> client_;
  std::atomic<int> requests_{0};
};

struct Kind {
  const char* name;
  std::vector<std::string> domains;
  KeyType key_type;
};

std::vector<Kind> Kinds() {
  return {{"one name", {"www.bench.test"}, KeyType::kEcdsaP256},
          {"one name", {"www.bench.test"}, KeyType::kRsa2048},
          {"wildcard and apex", {"*.bench.test", "bench.test"}, KeyType::kEcdsaP256},
          {"wildcard and apex", {"*.bench.test", "bench.test"}, KeyType::kRsa2048}};
}

class Issuance {
 public:
  static absl::StatusOr<std::unique_ptr<Issuance>> Start(const std::string& path) {
    std::unique_ptr<Issuance> issuance(new Issuance());
    ASSIGN_OR_RETURN(issuance->pebble_, testing::Pebble::Start(path, {}));
    ASSIGN_OR_RETURN(issuance->store_, controller::SqliteStore::Open(path + "/state", {.make = true}));
    ASSIGN_OR_RETURN(issuance->lease_, issuance->store_->TakeLease("issue"));
    controller::MasterKeyConfig master_key;
    master_key.key = {SecretReference::Kind::kFile, path + "/master.key"};
    ASSIGN_OR_RETURN(issuance->keyring_, controller::Keyring::Init(master_key, {.store = issuance->store_.get()},
                                                                   issuance->lease_->epoch(), nullptr));
    return issuance;
  }

  // `runs` times the same certificate, each time as a renewal of the last.
  absl::StatusOr<IssuanceLine> Measure(const Kind& kind, int runs) {
    IssuanceLine line{.what = kind.name, .key_type = std::string(KeyTypeName(kind.key_type))};
    line.phase.name = absl::StrCat(kind.name, ", ", line.key_type);
    line.phase.count = runs;
    const CertificateConfig certificate = CertificateOf(kind);
    Latencies latencies;
    absl::Status status;
    bench::Measure(
        line.phase, [] { return absl::ZeroDuration(); },
        [&] {
          for (int run = 0; run < runs && status.ok(); ++run) {
            const int before = http_.requests();
            const absl::Duration start = Clock::Real().Monotonic();
            status = IssueOnce(certificate);
            latencies.Add(Clock::Real().Monotonic() - start);
            const int requests = http_.requests() - before;
            line.least_requests = run == 0 ? requests : std::min(line.least_requests, requests);
            line.most_requests = std::max(line.most_requests, requests);
          }
        });
    RETURN_IF_ERROR(status);
    line.phase.median = latencies.At(0.5);
    line.phase.p99 = latencies.At(0.99);
    return line;
  }

 private:
  Issuance() : http_(controller::MakeCurlHttpClient(absl::StrCat("certcast-bench/", kVersion))) {}

  CertificateConfig CertificateOf(const Kind& kind) const {
    CertificateConfig certificate;
    certificate.name = absl::StrCat(kind.domains.size() > 1 ? "wildcard-" : "single-", KeyTypeName(kind.key_type));
    certificate.account = "pebble";
    certificate.domains = kind.domains;
    certificate.key_type = kind.key_type;
    certificate.challenge.emplace();
    certificate.challenge->writer = controller::ExecHook{.command = {pebble_->hook()}};
    certificate.challenge->propagation.resolvers = {pebble_->dns_address()};
    return certificate;
  }

  absl::Status IssueOnce(const CertificateConfig& certificate) {
    controller::AccountConfig account;
    account.name = "pebble";
    account.directory = pebble_->directory_url();
    account.ca_file = pebble_->ca_file();
    account.terms_of_service_agreed = true;
    controller::Issuer issuer(http_, *dns_, ProcessRunner::Real(), Clock::Real(), *store_, *keyring_);
    return issuer.Issue(certificate, account, lease_->epoch(), [](absl::string_view) {}).status();
  }

  CountingHttpClient http_;
  const std::unique_ptr<controller::DnsClient> dns_ = controller::MakeLdnsClient();
  std::unique_ptr<testing::Pebble> pebble_;
  std::unique_ptr<controller::Store> store_;
  std::unique_ptr<controller::Lease> lease_;
  std::unique_ptr<controller::Keyring> keyring_;
};

}  // namespace

absl::StatusOr<std::vector<IssuanceLine>> MeasureOwnIssuance(const std::string& folder, int runs) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Issuance> issuance, Issuance::Start(folder));
  std::vector<IssuanceLine> lines;
  ASSIGN_OR_RETURN(IssuanceLine first, issuance->Measure(Kinds().front(), 1));
  first.what = "first, with the account";
  lines.push_back(std::move(first));
  for (const Kind& kind : Kinds()) {
    ASSIGN_OR_RETURN(IssuanceLine line, issuance->Measure(kind, runs));
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string ToTable(const std::vector<IssuanceLine>& lines) {
  std::vector<std::vector<std::string>> cells = {
      {"certificate", "key", "runs", "median s", "slowest s", "own CPU ms each", "requests"}};
  for (const IssuanceLine& line : lines) {
    const std::string requests = line.least_requests == line.most_requests
                                     ? absl::StrCat(line.most_requests)
                                     : absl::StrCat(line.least_requests, " to ", line.most_requests);
    cells.push_back({line.what, line.key_type, absl::StrCat(line.phase.count),
                     Number(absl::ToDoubleSeconds(line.phase.median)), Number(absl::ToDoubleSeconds(line.phase.p99)),
                     Milliseconds(line.phase.OwnCpuEach()), requests});
  }
  return Table(cells);
}

nlohmann::ordered_json ToJson(const std::vector<IssuanceLine>& lines) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const IssuanceLine& line : lines) {
    json.push_back({{"what", line.what},
                    {"keyType", line.key_type},
                    {"runs", line.phase.count},
                    {"medianSeconds", absl::ToDoubleSeconds(line.phase.median)},
                    {"slowestSeconds", absl::ToDoubleSeconds(line.phase.p99)},
                    {"ownCpuMsEach", absl::ToDoubleMilliseconds(line.phase.OwnCpuEach())},
                    {"leastRequests", line.least_requests},
                    {"mostRequests", line.most_requests}});
  }
  return json;
}

}  // namespace certcast::bench
