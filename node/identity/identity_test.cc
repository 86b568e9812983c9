#include "node/identity/identity.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "certcast/v1/identity.pb.h"
#include "common/identity/names.h"
#include "common/x509/pem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_file_system.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {
namespace {

using ::testing::AllOf;
using testing::CertificateSpec;
using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::MemoryFileSystem;
using testing::TestCa;
using testing::TestFleet;

constexpr char kFleet[] = "0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11";
constexpr char kState[] = "/var/lib/certcast-node";
constexpr char kKeyPath[] = "/var/lib/certcast-node/identity/key.pem";
constexpr char kIdentityPath[] = "/var/lib/certcast-node/identity/identity.pem";

class IdentityTest : public ::testing::Test {
 protected:
  // What the controller's SignNode prints, for the key that this node has.
  struct Answer {
    std::string fleet_id = kFleet;
    std::string node = "web-01";
    // Of the certificate; empty: as `node` says.
    std::string named;
    absl::Time not_after = absl::FromUnixSeconds(2524607999);
    const TestCa* signer = nullptr;
    const PrivateKey* key = nullptr;
    const TestFleet* fleet = nullptr;
    uint32_t schema = 1;
  };
  std::string MakeIdentity() { return MakeIdentity(Answer()); }
  std::string MakeIdentity(const Answer& answer) {
    const PrivateKey own = *PrivateKey::FromPem(*disk_.GetFile(kKeyPath));
    const std::string& named = answer.named.empty() ? answer.node : answer.named;
    CertificateSpec spec{.dns_names = {NodeDnsName(named)}, .uris = {NodeUri(answer.fleet_id, named)}};
    spec.not_after = answer.not_after;
    spec.key = answer.key == nullptr ? &own : answer.key;
    const testing::IssuedCertificate issued = (answer.signer == nullptr ? ca_ : *answer.signer).Issue(spec);
    v1::FleetIdentity fleet;
    fleet.set_schema(answer.schema);
    fleet.set_fleet_id(answer.fleet_id);
    fleet.set_node(answer.node);
    fleet.set_manifest_key_pem((answer.fleet == nullptr ? fleet_ : *answer.fleet).key().ToPem());
    return absl::StrCat(issued.certificate.ToPem(), ca_.root_pem(),
                        EncodePem("CERTCAST FLEET", fleet.SerializeAsString()));
  }

  void SetUp() override { ASSERT_THAT(store_.MakeRequest(), IsOk()); }

  MemoryFileSystem disk_;
  IdentityStore store_{disk_, kState, "web-01"};
  const TestCa ca_ = TestCa::Root("fleet CA");
  const TestFleet fleet_{kFleet};
  const absl::Time now_ = absl::FromUnixSeconds(1893456000);
};

TEST_F(IdentityTest, TheKeyIsMadeOnceForItsOwnerAlone) {
  const std::string key = *disk_.GetFile(kKeyPath);
  ASSERT_THAT(store_.MakeRequest(), IsOk());
  EXPECT_EQ(disk_.GetFile(kKeyPath), key);
  EXPECT_EQ((*disk_.OpenDirectory(absl::StrCat(kState, "/identity")))->Stat("key.pem")->attributes.mode, 0600u);
  EXPECT_EQ((*disk_.OpenDirectory(kState))->Stat("identity")->attributes.mode, 0700u);
}

TEST_F(IdentityTest, TheRequestIsForTheKeyAndTheName) {
  const std::string request = *store_.MakeRequest();
  EXPECT_THAT(request, ::testing::StartsWith("-----BEGIN CERTIFICATE REQUEST-----"));
  const std::string der = *DecodePem((*SplitPem(request, request.size()))[0]);
  EXPECT_THAT(der, HasSubstr("web-01.node.certcast"));
  const PrivateKey key = *PrivateKey::FromPem(*disk_.GetFile(kKeyPath));
  EXPECT_THAT(der, HasSubstr(*key.PublicKeyDer()));
}

TEST_F(IdentityTest, AKeyThatIsDamagedIsNeverReplaced) {
  disk_.PutFile(kKeyPath, "-----BEGIN PRIV");
  EXPECT_THAT(store_.MakeRequest(), HasReason(Reason::MALFORMED, HasSubstr(kKeyPath)));
  EXPECT_EQ(disk_.GetFile(kKeyPath), "-----BEGIN PRIV");
}

TEST_F(IdentityTest, AcceptedIsWhatIsLoaded) {
  auto accepted = store_.Accept(MakeIdentity(), now_, false);
  ASSERT_THAT(accepted, IsOk());
  EXPECT_FALSE(accepted->renewed);
  auto identity = store_.Load();
  ASSERT_THAT(identity, IsOk());
  EXPECT_EQ(identity->file.node, "web-01");
  EXPECT_EQ(identity->file.fleet_id, kFleet);
  EXPECT_EQ(identity->file.manifest_key.raw(), fleet_.key().raw());
  EXPECT_EQ(identity->file.fleet_ca.sha256(), ca_.certificate().sha256());
  EXPECT_EQ(identity->file.certificate.sha256(), accepted->file.certificate.sha256());
  EXPECT_EQ(identity->private_key_pem.ExposeSecret(), *disk_.GetFile(kKeyPath));
}

TEST_F(IdentityTest, WithoutOneItSaysHowToJoin) {
  const auto identity = store_.Load();
  EXPECT_THAT(identity, HasReason(Reason::NOT_ENROLLED, HasSubstr("web-01")));
  EXPECT_THAT(FailureOf(identity.status()).hint(),
              AllOf(HasSubstr("certcast-node csr"), HasSubstr("certcast nodes sign web-01")));
}

TEST_F(IdentityTest, LookingForOneMakesNothing) {
  EXPECT_THAT(IdentityStore(disk_, "/srv/other", "web-01").Load(), HasReason(Reason::NOT_ENROLLED));
  EXPECT_FALSE(disk_.Exists("/srv"));
}

TEST_F(IdentityTest, AnExpiredOneLoadsAndSaysSo) {
  const absl::Time end = now_ + absl::Hours(1);
  ASSERT_THAT(store_.Accept(MakeIdentity({.not_after = end}), now_, false), IsOk());
  auto identity = store_.Load();
  ASSERT_THAT(identity, IsOk());
  EXPECT_THAT(CheckIdentityDates(identity->file, now_), IsOk());
  EXPECT_THAT(CheckIdentityDates(identity->file, end + absl::Hours(1)),
              HasReason(Reason::EXPIRED, HasSubstr("web-01")));
}

TEST_F(IdentityTest, RefusesWhatIsNotThisNodes) {
  const PrivateKey other_key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const TestCa other_ca = TestCa::Root("fleet CA");  // the same name, another key
  EXPECT_THAT(store_.Accept(MakeIdentity({.node = "web-02"}), now_, false),
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("web-02"), HasSubstr("web-01"))));
  EXPECT_THAT(store_.Accept(MakeIdentity({.named = "web-02"}), now_, false),
              HasReason(Reason::AUTH_FAILED, HasSubstr("its certificate says web-02")));
  EXPECT_THAT(store_.Accept(MakeIdentity({.key = &other_key}), now_, false),
              HasReason(Reason::KEY_MISMATCH, HasSubstr("made for another key")));
  EXPECT_THAT(store_.Accept(MakeIdentity({.signer = &other_ca}), now_, false),
              HasReason(Reason::CHAIN_INVALID, HasSubstr("not the fleet CA's")));
  EXPECT_THAT(store_.Accept(MakeIdentity({.not_after = now_ - absl::Hours(1)}), now_, false),
              HasReason(Reason::EXPIRED));
  EXPECT_THAT(store_.Accept(MakeIdentity({.schema = 2}), now_, false),
              HasReason(Reason::MALFORMED, HasSubstr("schema 2")));
  EXPECT_FALSE(disk_.Exists(kIdentityPath));
}

TEST_F(IdentityTest, RefusesWhatIsNoIdentity) {
  const std::string good = MakeIdentity();
  const size_t second = good.find("-----BEGIN", 1);
  const size_t third = good.find("-----BEGIN", second + 1);
  for (const std::string& bad :
       {std::string(), std::string("junk\n"), good.substr(0, second), good.substr(0, third), good.substr(second),
        good + good, good.substr(third) + good.substr(0, third), good.substr(0, good.size() - 30),
        good + *disk_.GetFile(kKeyPath), absl::StrReplaceAll(good, {{"CERTCAST FLEET", "CERTIFICATE"}}),
        good.substr(0, third) + "-----BEGIN CERTCAST FLEET-----\nAAAA\n-----END CERTCAST FLEET-----\n",
        std::string(kMaxIdentityFile + 1, '\n')}) {
    EXPECT_THAT(store_.Accept(bad, now_, false), HasReason(Reason::MALFORMED)) << bad.substr(0, 200);
  }
  EXPECT_FALSE(disk_.Exists(kIdentityPath));
}

TEST_F(IdentityTest, ACertificateThatIsNoCaSignsNothing) {
  const testing::IssuedCertificate leaf = ca_.Issue({.dns_names = {"x.example.com"}});
  const std::string identity = absl::StrReplaceAll(MakeIdentity(), {{ca_.root_pem(), leaf.certificate.ToPem()}});
  EXPECT_THAT(store_.Accept(identity, now_, false), HasReason(Reason::CHAIN_INVALID, HasSubstr("is not a CA")));
}

TEST_F(IdentityTest, WithoutAKeyItSaysToMakeOne) {
  const std::string identity = MakeIdentity();
  IdentityStore fresh(disk_, "/srv/other", "web-01");
  EXPECT_THAT(fresh.Accept(identity, now_, false), HasReason(Reason::KEY_MISMATCH, HasSubstr("has no key yet")));
}

TEST_F(IdentityTest, RenewalByTheSameFleetNeedsNoForce) {
  ASSERT_THAT(store_.Accept(MakeIdentity(), now_, false), IsOk());
  auto renewed = store_.Accept(MakeIdentity(), now_, false);
  ASSERT_THAT(renewed, IsOk());
  EXPECT_TRUE(renewed->renewed);
  EXPECT_EQ(store_.Load()->file.certificate.sha256(), renewed->file.certificate.sha256());
}

TEST_F(IdentityTest, AnotherFleetNeedsForce) {
  const std::string first = MakeIdentity();
  ASSERT_THAT(store_.Accept(first, now_, false), IsOk());
  const TestFleet other_key(kFleet);
  EXPECT_THAT(store_.Accept(MakeIdentity({.fleet_id = "another"}), now_, false),
              HasReason(Reason::FOREIGN_FLEET, AllOf(HasSubstr(kFleet), HasSubstr("another"))));
  EXPECT_THAT(store_.Accept(MakeIdentity({.fleet = &other_key}), now_, false),
              HasReason(Reason::FOREIGN_FLEET, HasSubstr("manifest key")));
  EXPECT_EQ(disk_.GetFile(kIdentityPath), first);

  auto forced = store_.Accept(MakeIdentity({.fleet_id = "another"}), now_, true);
  ASSERT_THAT(forced, IsOk());
  EXPECT_EQ(forced->replaced_fleet_id, kFleet);
  EXPECT_EQ(store_.Load()->file.fleet_id, "another");
}

TEST_F(IdentityTest, AnIdentityThatCannotBeComparedNeedsForce) {
  disk_.PutFile(kIdentityPath, "damaged");
  EXPECT_THAT(store_.Accept(MakeIdentity(), now_, false), HasReason(Reason::MALFORMED, HasSubstr(kIdentityPath)));
  EXPECT_EQ(disk_.GetFile(kIdentityPath), "damaged");
  EXPECT_THAT(store_.Accept(MakeIdentity(), now_, true), IsOk());
}

TEST_F(IdentityTest, ANodeThatWasRenamedIsToldSo) {
  ASSERT_THAT(store_.Accept(MakeIdentity(), now_, false), IsOk());
  EXPECT_THAT(IdentityStore(disk_, kState, "web-09").Load(),
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("web-01"), HasSubstr("web-09"))));
}

TEST_F(IdentityTest, ACrashLeavesTheOldIdentityOrTheNewOne) {
  const std::string first = MakeIdentity();
  const std::string second = MakeIdentity();
  for (int n = 1;; ++n) {
    disk_.PutFile(kIdentityPath, first);
    testing::FaultFileSystem files(disk_);
    files.CrashAt(n);
    const auto accepted = IdentityStore(files, kState, "web-01").Accept(second, now_, false);
    if (!files.has_crashed()) {
      EXPECT_THAT(accepted, IsOk());
      break;
    }
    disk_.Crash(static_cast<uint64_t>(n));
    EXPECT_THAT(*disk_.GetFile(kIdentityPath), ::testing::AnyOf(first, second)) << "crash at operation " << n;
    EXPECT_THAT(store_.Load(), IsOk()) << "crash at operation " << n;
  }
}

// Not even one that nobody uses.
TEST(IdentityAfterAKill, NoKeyStaysBesideTheOne) {
  for (int n = 1;; ++n) {
    MemoryFileSystem disk;
    testing::FaultFileSystem files(disk);
    files.CrashAt(n);
    (void)IdentityStore(files, kState, "web-01").MakeRequest();
    EXPECT_THAT(IdentityStore(disk, kState, "web-01").MakeRequest(), IsOk());
    const auto directory = disk.OpenDirectory(absl::StrCat(kState, "/identity"));
    ASSERT_THAT(directory, IsOk());
    EXPECT_THAT((*directory)->List(), testing::IsOkAndHolds(ElementsAre("key.pem"))) << "killed at operation " << n;
    if (!files.has_crashed()) break;
  }
}

TEST(IdentityOnFullDisk, MakesNoKey) {
  MemoryFileSystem disk;
  disk.SetFreeBytes(10);
  EXPECT_THAT(IdentityStore(disk, kState, "web-01").MakeRequest(), HasReason(Reason::NO_SPACE));
  EXPECT_FALSE(disk.Exists(kKeyPath));
}

}  // namespace
}  // namespace certcast::node
