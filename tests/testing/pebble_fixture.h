// What tests of issuance against real Pebble begin with.
#ifndef CERTCAST_TESTS_TESTING_PEBBLE_FIXTURE_H_
#define CERTCAST_TESTS_TESTING_PEBBLE_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock/clock.h"
#include "common/process/process.h"
#include "controller/acme/curl_http_client.h"
#include "controller/acme/issuer.h"
#include "controller/acme/ldns_dns_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_sealer.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/pebble.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {

// An issuer with real HTTP, DNS, programs and time; its store alone is in memory.
class PebbleFixture : public ::testing::Test {
 protected:
  // `account_` is there, and `certificate_` is for a name and its wildcard, by Pebble's own hook.
  void StartPebble(const PebbleOptions& options) {
    auto pebble = Pebble::Start(directory_.path(), options);
    ASSERT_THAT(pebble, IsOk());
    pebble_ = *std::move(pebble);
    account_ = {.name = "pebble",
                .directory = pebble_->directory_url(),
                .ca_file = pebble_->ca_file(),
                .contact = {"mailto:ops@example.com"},
                .terms_of_service_agreed = true};
    certificate_.name = "wildcard";
    certificate_.account = "pebble";
    certificate_.domains = {"*.demo.test", "demo.test"};
    certificate_.challenge.emplace();
    certificate_.challenge->writer = controller::ExecHook{.command = {pebble_->hook()}, .timeout = absl::Seconds(20)};
    certificate_.challenge->propagation = {.resolvers = {pebble_->dns_address()}, .timeout = absl::Seconds(20)};
  }

  controller::Issuer MakeIssuer() {
    return controller::Issuer(*http_, *dns_, ProcessRunner::Real(), Clock::Real(), store_, sealer_);
  }
  absl::StatusOr<state::v1::Generation> Issue() {
    controller::Issuer issuer = MakeIssuer();
    return issuer.Issue(certificate_, account_, /*epoch=*/0,
                        [this](absl::string_view line) { progress_.emplace_back(line); });
  }

  // What that server says; a value that is an error's text where it says nothing.
  std::vector<std::string> TxtAt(const std::string& server, const std::string& name) {
    const auto reply = dns_->Ask(server, {.name = name}, absl::Seconds(20));
    if (!reply.ok()) return {std::string(reply.status().message())};
    std::vector<std::string> values;
    for (const controller::DnsRecord& record : reply->answers) {
      if (record.type == controller::DnsType::kTxt) values.push_back(record.data);
    }
    return values;
  }

  TemporaryDirectory directory_;
  const std::unique_ptr<controller::HttpClient> http_ = controller::MakeCurlHttpClient("certcast/test");
  const std::unique_ptr<controller::DnsClient> dns_ = controller::MakeLdnsClient();
  MemoryStore store_;
  FakeSealer sealer_;
  controller::AccountConfig account_;
  controller::CertificateConfig certificate_;
  std::vector<std::string> progress_;
  std::unique_ptr<Pebble> pebble_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_PEBBLE_FIXTURE_H_
