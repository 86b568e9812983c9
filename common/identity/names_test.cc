#include "common/identity/names.h"

#include "gtest/gtest.h"

namespace certcast {
namespace {

constexpr char kFleet[] = "0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11";
constexpr char kOtherFleet[] = "7d0f9c11-6f52-4a55-9d3e-0e5a0b9f8a52";

TEST(CheckNodeName, AcceptsHostNames) {
  for (const char* name : {"web-01", "a", "0", "web-01.fra.example", "x--y"}) {
    EXPECT_TRUE(CheckNodeName(name).ok()) << name;
  }
  EXPECT_TRUE(CheckNodeName(std::string(63, 'a')).ok());
}

TEST(CheckNodeName, RefusesWhatIsNoNameOrWouldLeadElsewhere) {
  for (const char* name : {"", "Web", "web 01", "-web", "web-", ".web", "web.", "web..fra", "web.-fra", "a/b", "../a",
                           "a\nb", "*", "wéb", "web_01"}) {
    EXPECT_EQ(CheckNodeName(name).code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_FALSE(CheckNodeName(std::string(64, 'a')).ok());
  EXPECT_FALSE(CheckNodeName(absl::string_view("web\0x", 5)).ok());
}

TEST(PeerNode, ReadsBackWhatTheCertificateSays) {
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName("web-01"), NodeUri(kFleet, "web-01")}), "web-01");
  EXPECT_EQ(PeerNode(kFleet, {NodeUri(kFleet, "web-01"), NodeDnsName("web-01")}), "web-01");
}

TEST(PeerNode, RefusesAnotherFleet) {
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName("web-01"), NodeUri(kOtherFleet, "web-01")}), std::nullopt);
}

TEST(PeerNode, RefusesTheController) {
  EXPECT_EQ(PeerNode(kFleet, {ControllerDnsName(), ControllerUri(kFleet)}), std::nullopt);
}

TEST(PeerNode, RefusesNamesThatDisagree) {
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName("web-02"), NodeUri(kFleet, "web-01")}), std::nullopt);
  EXPECT_EQ(PeerNode(kFleet, {NodeUri(kFleet, "web-01")}), std::nullopt);
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName("web-01")}), std::nullopt);
}

TEST(PeerNode, RefusesTwoIdentitiesInOne) {
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName("web-01"), NodeUri(kFleet, "web-01"), NodeUri(kFleet, "web-02")}),
            std::nullopt);
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName("web-01"), NodeUri(kFleet, "web-01"), ControllerUri(kFleet)}), std::nullopt);
}

TEST(PeerNode, RefusesANameThatIsNone) {
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName("../web"), NodeUri(kFleet, "../web")}), std::nullopt);
  EXPECT_EQ(PeerNode(kFleet, {NodeDnsName(""), NodeUri(kFleet, "")}), std::nullopt);
}

TEST(IsController, OnlyForThisFleetsController) {
  EXPECT_TRUE(IsController(kFleet, {ControllerDnsName(), ControllerUri(kFleet)}));
  EXPECT_FALSE(IsController(kOtherFleet, {ControllerDnsName(), ControllerUri(kFleet)}));
  EXPECT_FALSE(IsController(kFleet, {ControllerDnsName()}));
  EXPECT_FALSE(IsController(kFleet, {ControllerUri(kFleet)}));
  EXPECT_FALSE(IsController(kFleet, {}));
}

TEST(IsController, NeverForANode) {
  EXPECT_FALSE(IsController(kFleet, {NodeDnsName("web-01"), NodeUri(kFleet, "web-01")}));
  EXPECT_FALSE(IsController(kFleet, {ControllerDnsName(), NodeDnsName("controller"), NodeUri(kFleet, "controller")}));
  EXPECT_FALSE(IsController(kFleet, {ControllerDnsName(), ControllerUri(kFleet), NodeUri(kFleet, "web-01")}));
}

}  // namespace
}  // namespace certcast
