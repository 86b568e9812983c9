// A controller whose CA, DNS, hook, store, clock and nodes are all in memory. Its process can be ended at any of its
// exchanges with the CA, the store or a node: from then on nothing of it gets through, until it is started again.
#ifndef CERTCAST_CONTROLLER_API_ACME_FIXTURE_H_
#define CERTCAST_CONTROLLER_API_ACME_FIXTURE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/x509/certificate.h"
#include "controller/api/controller.h"
#include "controller/store/records.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_acme_server.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_dns_client.h"
#include "tests/testing/fake_http_client.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/fake_txt_hook.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {

// What the process does to the world, counted; it dies at one of them.
class Mortality {
 public:
  enum class Kind { kExchange, kCommit, kCommand };

  static absl::Status Dead() { return absl::CancelledError("ended by the test"); }
  // Before it gets through. `after`: it gets through, and the answer does not come back.
  void DieAt(Kind kind, int at, bool after) {
    const absl::MutexLock lock(&mutex_);
    kind_ = kind;
    at_ = at;
    after_ = after;
    dead_ = false;
    counts_[0] = counts_[1] = counts_[2] = 0;
  }
  void Live() { DieAt(Kind::kExchange, 0, false); }
  bool dead() const {
    const absl::MutexLock lock(&mutex_);
    return dead_;
  }
  int count(Kind kind) const {
    const absl::MutexLock lock(&mutex_);
    return counts_[static_cast<int>(kind)];
  }

  // Does it, unless dead.
  template <typename Result>
  Result Do(Kind kind, const std::function<Result()>& deed) {
    bool dies_after = false;
    {
      const absl::MutexLock lock(&mutex_);
      if (dead_) return Dead();
      if (++counts_[static_cast<int>(kind)] == at_ && kind == kind_) {
        dies_after = after_;
        if (!after_) dead_ = true;
      }
      if (dead_) return Dead();
    }
    Result result = deed();
    if (!dies_after) return result;
    const absl::MutexLock lock(&mutex_);
    dead_ = true;
    return Dead();
  }

 private:
  mutable absl::Mutex mutex_;
  Kind kind_ ABSL_GUARDED_BY(mutex_) = Kind::kExchange;
  int at_ ABSL_GUARDED_BY(mutex_) = 0;
  bool after_ ABSL_GUARDED_BY(mutex_) = false;
  bool dead_ ABSL_GUARDED_BY(mutex_) = false;
  int counts_[3] ABSL_GUARDED_BY(mutex_) = {0, 0, 0};
};

// Opened anew by each call, as the real one is; what is in it stays.
class MortalStoreView : public Store {
 public:
  MortalStoreView(Store& store, Mortality& mortality) : store_(store), mortality_(mortality) {}
  absl::StatusOr<StoredRecord> Get(absl::string_view key) override { return store_.Get(key); }
  absl::StatusOr<std::vector<StoredRecord>> List(absl::string_view prefix) override { return store_.List(prefix); }
  absl::StatusOr<int64_t> Commit(const Transaction& transaction) override {
    return mortality_.Do<absl::StatusOr<int64_t>>(Mortality::Kind::kCommit, [&] { return store_.Commit(transaction); });
  }
  absl::StatusOr<std::unique_ptr<Lease>> TakeLease(absl::string_view holder) override {
    return store_.TakeLease(holder);
  }

 private:
  Store& store_;
  Mortality& mortality_;
};

class MortalHttpClient : public HttpClient {
 public:
  MortalHttpClient(HttpClient& http, Mortality& mortality) : http_(http), mortality_(mortality) {}
  absl::StatusOr<HttpResponse> Perform(const HttpRequest& request) override {
    return mortality_.Do<absl::StatusOr<HttpResponse>>(Mortality::Kind::kExchange,
                                                       [&] { return http_.Perform(request); });
  }

 private:
  HttpClient& http_;
  Mortality& mortality_;
};

class MortalLink : public Link {
 public:
  MortalLink(std::unique_ptr<Link> link, Mortality& mortality) : link_(std::move(link)), mortality_(mortality) {}
  absl::StatusOr<v1::Report> Call(const v1::Command& command, absl::Duration timeout,
                                  const OnProgress& on_progress) override {
    return mortality_.Do<absl::StatusOr<v1::Report>>(Mortality::Kind::kCommand,
                                                     [&] { return link_->Call(command, timeout, on_progress); });
  }

  const v1::Hello& hello() const override { return link_->hello(); }

 private:
  const std::unique_ptr<Link> link_;
  Mortality& mortality_;
};

class MortalTransport : public Transport {
 public:
  MortalTransport(Transport& transport, Mortality& mortality) : transport_(transport), mortality_(mortality) {}
  absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) override {
    if (mortality_.dead()) return Mortality::Dead();
    absl::StatusOr<std::unique_ptr<Link>> link = transport_.Open(node, timeout);
    if (!link.ok()) return link.status();
    return std::make_unique<MortalLink>(*std::move(link), mortality_);
  }

 private:
  Transport& transport_;
  Mortality& mortality_;
};

// Nodes web-1 to web-3 with the certificate `wildcard`, which is obtained from the account `ca`. The controller can
// look at web-1 itself.
class AcmeWorld {
 public:
  static constexpr char kName[] = "wildcard";
  static constexpr char kDnsServer[] = "192.0.2.53:53";

  AcmeWorld() {
    dns.Add(kDnsServer, {.owner = "example.com.", .type = DnsType::kSoa, .data = "ns.example.com."});
    processes.Otherwise([this](const ProcessRequest& request) { return Hook(request); });
    machine.files = &FileSystem::Real();
    machine.processes = &processes;
    machine.prober = &prober;
    machine.clock = &clock;
    machine.http = &mortal_http_;
    machine.dns = &dns;
    machine.open_store = [this](const std::string&, bool) {
      return std::make_unique<MortalStoreView>(store, mortality);
    };
    machine.make_transport = [this](const std::string&, ControllerIdentity) {
      return std::make_unique<MortalTransport>(transport, mortality);
    };
    prober.Otherwise([this](const ProbeSpec& spec) {
      const std::string& address = std::get<TlsProbe>(spec.what).address;
      const std::string served =
          transport.Node(address.substr(0, address.find(':'))).served_to_controller_sha256(kName);
      return served.empty() ? testing::FakeProber::Fails("connection refused") : testing::FakeProber::Serves(served);
    });
    for (int i = 1; i <= 3; ++i) transport.Node(absl::StrCat("web-", i));
    Configure();
    EXPECT_THAT(controller->Init(), testing::IsOk());
  }

  void Configure(const std::string& nodes = "all", const std::string& rollout = R"({waves: ["1", "100%"]})") {
    const std::string text = absl::StrCat(
        "state: state\nmaster_key: {file: master.key}\naccounts:\n  - {name: ca, directory: \"", ca.directory_url(),
        "\", contact: [\"mailto:a@example.com\"], terms_of_service_agreed: true", account_fields, "}\n", more_accounts,
        "certificates:\n  - name: wildcard\n    account: ca\n    domains: [\"*.example.com\", example.com]\n"
        "    challenge: ",
        challenge, "\n", certificate_lines, "    nodes: ", nodes, "\n    rollout: ", rollout, "\n", more_certificates,
        "nodes:\n"
        "  - {name: web-1, address: \"grpc://127.0.0.1:7001\", verify: [\"web-1:443\"]}\n"
        "  - {name: web-2, address: \"grpc://127.0.0.1:7002\"}\n"
        "  - {name: web-3, address: \"grpc://127.0.0.1:7003\"}\n");
    config_text_ = text;
    absl::StatusOr<Config> config = ReadBack();
    ASSERT_THAT(config, testing::IsOk());
    controller = std::make_unique<Controller>(*std::move(config), machine);
  }

  absl::StatusOr<Config> ReadBack() const { return ParseConfig(config_text_, directory.path() + "/certcast.yaml"); }

  absl::StatusOr<v1::ApplyResponse> Apply(bool force_renewal = false) {
    v1::ApplyRequest request;
    request.set_force_renewal(force_renewal);
    return controller->Apply(request, OnProgressHere(), stop);
  }
  v1::StatusResponse Status() {
    absl::StatusOr<v1::StatusResponse> status = controller->GetStatus({});
    EXPECT_THAT(status, testing::IsOk());
    return status.ok() ? *status : v1::StatusResponse();
  }
  OnProgress OnProgressHere() {
    return [this](const v1::ApplyEvent::Progress& progress) { texts.push_back(progress.text()); };
  }

  std::vector<state::v1::Generation> Generations() { return *GenerationRecords(store).List(kName); }
  std::string Leaf(uint64_t number) {
    const auto generation = *GenerationRecords(store).Get(kName, number);
    return generation.has_value() ? generation->leaf_sha256() : "there is none";
  }
  // As the CA says; nullopt: it is not.
  std::optional<int> RevokedFor(uint64_t number) {
    const auto generation = *GenerationRecords(store).Get(kName, number);
    return ca.RevokedFor(ParseChainPem(generation->fullchain_pem())->front().der());
  }
  std::string ShownState(uint64_t number) {
    const auto response = controller->ListCertificates({});
    for (const auto& generation : response->certificates(0).generations()) {
      if (generation.generation() != number) continue;
      return v1::ListCertificatesResponse::Generation::State_Name(generation.state());
    }
    return "";
  }
  std::string Served(const std::string& node) { return transport.Node(node).served_sha256(kName); }
  std::string Texts() const { return absl::StrJoin(texts, "\n"); }

  Mortality mortality;
  testing::TemporaryDirectory directory;
  testing::FakeClock clock;
  testing::MemoryStore store;
  testing::FakeTransport transport{clock};
  testing::FakeProber prober;
  testing::FakeDnsClient dns;
  testing::FakeProcessRunner processes;
  testing::FakeTxtHook hook{dns, kDnsServer};
  // What the hook wrote.
  const std::vector<DnsRecord>& zone = hook.zone;
  testing::FakeAcmeServer ca{clock, [this](const std::string& fqdn) { return hook.Txt(fqdn); }};
  // Another one, at an origin of its own; nullptr: none. Not owned.
  testing::FakeAcmeServer* other_ca = nullptr;
  // Before the CA gets it.
  std::function<void(const HttpRequest&)> on_request;
  testing::FakeHttpClient http{[this](const HttpRequest& request) {
    if (on_request) on_request(request);
    if (other_ca != nullptr && absl::StartsWith(request.url, other_ca->origin())) return other_ca->Handle(request);
    return ca.Handle(request);
  }};
  Machine machine;
  // `, ends: {...}`.
  std::string account_fields;
  std::string challenge = absl::StrCat(
      "{type: dns-01, solver: exec, exec: {command: [/hook]}, propagation: {resolvers: [\"", kDnsServer, "\"]}}");
  // `    renewal: {...}\n`.
  std::string certificate_lines;
  std::string more_accounts;
  std::string more_certificates;
  std::unique_ptr<Controller> controller;
  std::vector<std::string> texts;
  std::atomic<bool> stop = false;

 private:
  absl::StatusOr<ProcessResult> Hook(const ProcessRequest& request) {
    if (mortality.dead()) return Mortality::Dead();
    return hook.Run(request);
  }

  std::string config_text_;
  MortalHttpClient mortal_http_{http, mortality};
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_ACME_FIXTURE_H_
