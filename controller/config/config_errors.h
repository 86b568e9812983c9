// A good configuration, and what is wrong with it after a change in one place; for tests of this folder.
#ifndef CERTCAST_CONTROLLER_CONFIG_CONFIG_ERRORS_H_
#define CERTCAST_CONTROLLER_CONFIG_CONFIG_ERRORS_H_

#include <ostream>
#include <string>

#include "controller/config/config.h"
#include "gtest/gtest.h"

namespace certcast::controller {

inline constexpr char kGood[] = R"(state: /var/lib/certcast
master_key: {file: /etc/certcast/master.key}
accounts:
  - name: digicert
    directory: https://acme.example/directory?action=renew
    terms_of_service_agreed: true
    contact: ["mailto:ops@example.com"]
    external_account: {key_id: kid-1, hmac_key: {file: eab.key}}
certificates:
  - name: wildcard
    account: digicert
    domains: ["*.example.com", example.com]
    key_type: ecdsa-p256
    challenge: {type: dns-01, solver: exec, exec: {command: [/bin/hook]}, propagation: {resolvers: ["127.0.0.1:53"]}}
    renewal: {at: "66%"}
    nodes: {role: web}
    rollout: {waves: ["1", "10%", "100%"], parallel: 64, spread: {label: rack}}
  - name: shop
    domains: [shop.example.com]
    nodes: [web-02]
nodes:
  - {name: web-01, address: "grpc://10.0.0.1:7444", labels: {role: web, rack: a, tier: one}, verify: ["10.0.0.1:443"]}
  - {name: web-02, address: "grpc://10.0.0.2:7444", labels: {role: web, rack: b}}
)";

struct Mistake {
  const char* name;
  // What is replaced in kGood, and by what.
  std::string old_text;
  std::string new_text;
  std::string errors;
};

inline void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.new_text;
}

inline std::string Apply(const Mistake& mistake) {
  std::string text = kGood;
  const size_t at = text.find(mistake.old_text);
  EXPECT_NE(at, std::string::npos) << mistake.old_text;
  EXPECT_EQ(text.find(mistake.old_text, at + 1), std::string::npos) << "twice: " << mistake.old_text;
  return text.replace(at, mistake.old_text.size(), mistake.new_text);
}

class ConfigErrors : public testing::TestWithParam<Mistake> {
 protected:
  void ExpectErrors() const {
    const auto config = ParseConfig(Apply(GetParam()), "c.yaml");
    ASSERT_FALSE(config.ok());
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(config.status().message()), GetParam().errors);
  }
};

inline std::string NameOf(const testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_CONFIG_ERRORS_H_
