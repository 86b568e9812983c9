#include "node/hosted/definition.h"

#include <functional>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/hosted/hosted_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::SizeIs;

v1::NodeDefinition Good() {
  return HostedNode().DefinitionWith({"nginx", "haproxy"});
}

TEST(ReadDefinition, IsWhatANodeYamlSays) {
  const auto config = ReadDefinition(Good());
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->node, "web-01");
  EXPECT_EQ(config->state, "/var/lib/certcast-node");
  EXPECT_THAT(config->allow_names, ElementsAre("*.example.com"));
  EXPECT_EQ(config->keep, 2);
  EXPECT_TRUE(config->hosted);
  ASSERT_TRUE(config->fleet.has_value());
  EXPECT_EQ(config->fleet->id, FleetOfTests().id);
  ASSERT_THAT(config->services, SizeIs(2));
  EXPECT_EQ(config->services[0].name, "nginx");
  EXPECT_EQ(config->services[1].files[1].path, "/etc/haproxy/privkey.pem");
}

TEST(ReadDefinition, SaysWhereHttpChallengesGo) {
  v1::NodeDefinition definition = Good();
  EXPECT_TRUE(ReadDefinition(definition)->http_challenge.empty());
  definition.mutable_http_challenge()->set_webroot("/var/www");
  EXPECT_EQ(ReadDefinition(definition)->http_challenge.ToString(), "webroot /var/www");
  definition.mutable_http_challenge()->set_listen("0.0.0.0:80");
  EXPECT_EQ(ReadDefinition(definition)->http_challenge.ToString(), "listen 0.0.0.0:80");
}

struct Mistake {
  const char* name;
  std::function<void(v1::NodeDefinition&)> make;
  std::string detail;

  friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }
};

class Definition : public ::testing::TestWithParam<Mistake> {};

TEST_P(Definition, IsRefusedWhereItIsWrong) {
  v1::NodeDefinition definition = Good();
  GetParam().make(definition);
  EXPECT_THAT(ReadDefinition(definition), HasReason(Reason::MALFORMED, HasSubstr(GetParam().detail)));
}

void AddToServices(v1::NodeDefinition& definition, const std::string& text) {
  definition.mutable_services_yaml()->append(text);
}

INSTANTIATE_TEST_SUITE_P(
    All, Definition,
    ::testing::Values(
        Mistake{"Nothing", [](auto& d) { d.Clear(); }, "node: "},
        Mistake{"NodeIsAPath", [](auto& d) { d.set_node("../x"); }, "node: "},
        Mistake{"NoState", [](auto& d) { d.clear_state(); }, "state is not an absolute path"},
        Mistake{"RelativeState", [](auto& d) { d.set_state("srv/x"); }, "state is not an absolute path"},
        Mistake{"StateClimbs", [](auto& d) { d.set_state("/srv/../etc"); }, "state is not an absolute path"},
        Mistake{"StateEndsInASlash", [](auto& d) { d.set_state("/srv/x/"); }, "state is not an absolute path"},
        Mistake{"WebrootIsRelative", [](auto& d) { d.mutable_http_challenge()->set_webroot("www"); }, "webroot is not an absolute path"},
        Mistake{"WebrootClimbs", [](auto& d) { d.mutable_http_challenge()->set_webroot("/srv/../etc"); }, "webroot is not an absolute path"},
        Mistake{"ListensOnAName", [](auto& d) { d.mutable_http_challenge()->set_listen("www:80"); }, "listen is not an IP address"},
        Mistake{"StateIsTheRoot", [](auto& d) { d.set_state("/"); }, "state is not an absolute path"},
        Mistake{"StateHasALineEnd", [](auto& d) { d.set_state("/srv/x\ny"); }, "state is not an absolute path"},
        Mistake{"StateIsLong", [](auto& d) { d.set_state("/" + std::string(2000, 'x')); }, "state is not"},
        Mistake{"NoFleet", [](auto& d) { d.clear_fleet_id(); }, "fleet_id is not"},
        Mistake{"FleetHasALineEnd", [](auto& d) { d.set_fleet_id("a\nb"); }, "fleet_id is not"},
        Mistake{"FleetIsLong", [](auto& d) { d.set_fleet_id(std::string(65, 'x')); }, "fleet_id is not"},
        Mistake{"NoKey", [](auto& d) { d.clear_manifest_key_pem(); }, "manifest_key_pem: "},
        Mistake{"KeyIsNone", [](auto& d) { d.set_manifest_key_pem("-----BEGIN"); }, "manifest_key_pem: "},
        Mistake{"KeyIsLong", [](auto& d) { d.set_manifest_key_pem(std::string(5000, 'x')); }, "is too long"},
        Mistake{"NoNames", [](auto& d) { d.clear_allow_names(); }, "allow_names has 0 names"},
        Mistake{"NameIsNone", [](auto& d) { d.add_allow_names("a_b"); }, "allow_names: "},
        Mistake{"KeepNothing", [](auto& d) { d.set_keep(0); }, "keep is 0"},
        Mistake{"KeepTooMany", [](auto& d) { d.set_keep(101); }, "keep is 101"},
        Mistake{"NoServices", [](auto& d) { d.clear_services_yaml(); }, "services:1:1: found nothing"},
        Mistake{"Garbage", [](auto& d) { d.set_services_yaml("\xff\x01{["); }, "services:1:1: found the byte 0xff"},
        Mistake{"NotYaml", [](auto& d) { d.set_services_yaml("- {a: b"); }, "not valid YAML"},
        Mistake{"NotAList", [](auto& d) { d.set_services_yaml("{}"); }, "services:1:1: found a map, expected a list"},
        Mistake{"Deep", [](auto& d) { d.set_services_yaml(std::string(100, '[') + std::string(100, ']')); },
                "nested deeper than"},
        Mistake{"Oversized", [](auto& d) { AddToServices(d, "#" + std::string(256 << 10, 'x')); }, "services: "},
        Mistake{"UnknownKey", [](auto& d) { AddToServices(d, "- {nam: x}\n"); }, "services:3:4: at [2]: unknown key"},
        Mistake{"ServiceTwice", [](auto& d) { AddToServices(d, d.services_yaml()); }, "a second time"},
        Mistake{"FileInTheState", [](auto& d) { d.set_state("/etc/nginx"); }, "outside of the node's state"},
        Mistake{"RelativeProgram",
                [](auto& d) {
                  AddToServices(d,
                                "- {name: x, certificate: wildcard, check: [bin/x], files: [{path: /x, content: "
                                "cert}], probes: [{tls: {address: \"127.0.0.1:1\", server_name: a.b}}]}\n");
                },
                "services:3:44: at [2].check[0]: found \"bin/x\", expected an absolute path"}),
    [](const ::testing::TestParamInfo<Mistake>& info) { return info.param.name; });

}  // namespace
}  // namespace certcast::node
