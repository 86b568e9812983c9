// A DNS hook of lego's form, without a program: what it writes is in a zone that resolvers see.
#ifndef CERTCAST_TESTS_TESTING_FAKE_TXT_HOOK_H_
#define CERTCAST_TESTS_TESTING_FAKE_TXT_HOOK_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/process/process.h"
#include "controller/acme/dns_client.h"
#include "tests/testing/fake_dns_client.h"
#include "tests/testing/fake_process_runner.h"

namespace certcast::testing {

class FakeTxtHook {
 public:
  // What it writes is answered by `server` of `dns`, which outlives it.
  FakeTxtHook(FakeDnsClient& dns, std::string server) : dns_(dns), server_(std::move(server)) {}

  // argv: the program, present or cleanup, the record's name, its value. A record to remove must be there.
  absl::StatusOr<ProcessResult> Run(const ProcessRequest& request) {
    const controller::DnsRecord record{
        .owner = request.argv.at(2), .type = controller::DnsType::kTxt, .data = request.argv.at(3)};
    if (request.argv.at(1) == "present") {
      zone.push_back(record);
      dns_.Add(server_, record);
      return FakeProcessRunner::Exits(0);
    }
    const auto it = std::find(zone.begin(), zone.end(), record);
    if (it == zone.end()) return FakeProcessRunner::Exits(1, "no such record");
    zone.erase(it);
    dns_.Remove(server_, record);
    return FakeProcessRunner::Exits(0);
  }

  std::vector<std::string> Txt(const std::string& fqdn) const {
    std::vector<std::string> values;
    for (const controller::DnsRecord& record : zone) {
      if (record.owner == fqdn) values.push_back(record.data);
    }
    return values;
  }

  std::vector<controller::DnsRecord> zone;

 private:
  FakeDnsClient& dns_;
  const std::string server_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_TXT_HOOK_H_
