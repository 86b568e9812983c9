// An issuer whose CA, DNS, hook, store and clock are all in memory.
#ifndef CERTCAST_CONTROLLER_ACME_ISSUER_FIXTURE_H_
#define CERTCAST_CONTROLLER_ACME_ISSUER_FIXTURE_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "controller/acme/issuer.h"
#include "controller/acme/jose.h"
#include "controller/store/records.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_acme_server.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_dns_client.h"
#include "tests/testing/fake_http_client.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/fake_sealer.h"
#include "tests/testing/fake_txt_hook.h"
#include "tests/testing/fault_file_system.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/program.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {

// Fails its commits once the process is dead, or when the gate says so.
class MortalStore final : public testing::MemoryStore {
 public:
  absl::StatusOr<int64_t> Commit(const Transaction& transaction) override {
    if (gate) {
      if (absl::Status status = gate(++asked); !status.ok()) return status;
    }
    return MemoryStore::Commit(transaction);
  }
  std::function<absl::Status(int)> gate;
  int asked = 0;
};

class IssuerFixture {
 public:
  static constexpr char kDnsServer[] = "192.0.2.53:53";

  IssuerFixture() {
    certificate.name = "wildcard";
    certificate.account = "ca";
    certificate.domains = {"*.example.com", "example.com"};
    certificate.challenge.emplace();
    certificate.challenge->writer = ExecHook{.command = {"/hook"}};
    certificate.challenge->propagation.resolvers = {kDnsServer};
    account.name = "ca";
    account.directory = ca.directory_url();
    account.terms_of_service_agreed = true;
    // A server without records would not answer at all.
    dns.Add(kDnsServer, {.owner = "example.com.", .type = DnsType::kSoa, .data = "ns.example.com."});
    processes.Otherwise([this](const ProcessRequest& request) { return Hook(request); });
  }

  absl::StatusOr<state::v1::Generation> Issue() {
    Issuer issuer = MakeIssuer();
    return issuer.Issue(certificate, account, /*epoch=*/0,
                        [this](absl::string_view line) { progress.emplace_back(line); });
  }

  Issuer MakeIssuer() {
    Issuer issuer(http, dns, processes, clock, store, sealer, limits);
    issuer.ShowHttpChallengesOn(files, fleet);
    return issuer;
  }

  // The CA requires it from now on. `key` is what the CA gave to the customer, base64url.
  void UseExternalAccount(const std::string& key_id, const std::string& key, const std::string& algorithm = "HS256") {
    const std::string path = absl::StrCat(secrets_.path(), "/eab-", key_id);
    ASSERT_TRUE(testing::WriteFile(path, key).ok()) << path;
    account.external_account = {
        .key_id = key_id, .hmac_key = {.kind = SecretReference::Kind::kFile, .name = path}, .algorithm = algorithm};
    ca.behaviour.external_account_required = true;
  }

  // What the CA finds for a name: TXT records, and what the key authorizations that are shown to it would be as such.
  std::vector<std::string> Txt(const std::string& fqdn) const {
    std::vector<std::string> values;
    if (blind && blind()) return values;
    if (key_authorizations) {
      for (const std::string& shown : key_authorizations()) values.push_back(Dns01Value(shown));
    }
    const std::vector<std::string> written = hook.Txt(fqdn);
    values.insert(values.end(), written.begin(), written.end());
    return values;
  }

  std::vector<state::v1::Generation> Generations() { return *GenerationRecords(store).List(certificate.name); }
  bool HasOrderRecord() { return OrderRecords(store).Get(certificate.name)->has_value(); }

  bool ProgressMentions(const std::string& text) const {
    for (const std::string& line : progress) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  testing::FakeClock clock;
  testing::MemoryFileSystem disk;
  // What may go wrong with it.
  testing::FaultFileSystem files{disk};
  ChallengeFleet fleet;
  // Shown by http-01 now.
  std::function<std::vector<std::string>()> key_authorizations;
  // Whether the CA sees nothing when it looks now.
  std::function<bool()> blind;
  testing::FakeDnsClient dns;
  testing::FakeTxtHook hook{dns, kDnsServer};
  // What the hook wrote.
  const std::vector<DnsRecord>& zone = hook.zone;
  testing::FakeAcmeServer ca{clock, [this](const std::string& fqdn) { return Txt(fqdn); }};
  // Answers what goes to the CA's OCSP responder.
  std::function<HttpResponse(const HttpRequest&)> on_ocsp;
  testing::FakeHttpClient http{[this](const HttpRequest& request) {
    return on_ocsp && request.url == ca.behaviour.ocsp_responder ? on_ocsp(request) : ca.Handle(request);
  }};
  testing::FakeProcessRunner processes;
  MortalStore store;
  testing::FakeSealer sealer;
  CertificateConfig certificate;
  AccountConfig account;
  IssueLimits limits;
  std::vector<std::string> progress;
  // Before the hook does anything.
  std::function<absl::Status()> hook_gate;

 private:
  absl::StatusOr<ProcessResult> Hook(const ProcessRequest& request) {
    if (hook_gate) {
      if (absl::Status status = hook_gate(); !status.ok()) return status;
    }
    return hook.Run(request);
  }

  testing::TemporaryDirectory secrets_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ISSUER_FIXTURE_H_
