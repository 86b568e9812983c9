#include "controller/keyring/keyring.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "certcast/state/v1/keyring.pb.h"
#include "certcast/v1/identity.pb.h"
#include "common/identity/names.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/x509/pem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_file_system.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void WriteAll(const std::string& path, const std::string& text, mode_t mode) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << text;
  ASSERT_EQ(chmod(path.c_str(), mode), 0);
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class KeyringTest : public ::testing::Test {
 protected:
  KeyringTest() {
    config_.key = {SecretReference::Kind::kFile, directory_.path() + "/etc/master.key"};
    environment_ = {&store_, &FileSystem::Real(), &clock_};
  }

  absl::StatusOr<std::unique_ptr<Keyring>> Init() {
    made_.clear();
    return Keyring::Init(config_, environment_, 0, &made_);
  }
  absl::StatusOr<std::unique_ptr<Keyring>> Open() { return Keyring::Open(config_, environment_); }
  std::unique_ptr<Keyring> MustInit() {
    auto keyring = Init();
    EXPECT_THAT(keyring, IsOk());
    return keyring.ok() ? *std::move(keyring) : nullptr;
  }

  void UsePassphrase(const std::string& text) {
    const std::string path = directory_.path() + "/passphrase";
    WriteAll(path, text, 0400);
    config_.key = {};
    config_.passphrase = {SecretReference::Kind::kFile, path};
  }

  const std::string& key_path() const { return config_.key.name; }

  certcast::testing::TemporaryDirectory directory_;
  certcast::testing::MemoryStore store_;
  certcast::testing::FakeClock clock_;
  MasterKeyConfig config_;
  KeyringEnvironment environment_;
  std::vector<std::string> made_;
};

TEST_F(KeyringTest, InitMakesTheMasterKeyFileWithItsFinalMode) {
  MustInit();
  EXPECT_EQ(ModeOf(key_path()), 0400u);
  EXPECT_EQ(ModeOf(directory_.path() + "/etc"), 0700u);
  std::string text = ReadAll(key_path());
  ASSERT_TRUE(absl::EndsWith(text, "\n"));
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape(text, &bytes));
  EXPECT_THAT(bytes, SizeIs(32));
  EXPECT_THAT(made_, ElementsAre(HasSubstr(key_path()), HasSubstr("fleet ")));
}

TEST_F(KeyringTest, InitTwiceChangesNothing) {
  const std::unique_ptr<Keyring> first = MustInit();
  const std::string file = ReadAll(key_path());
  const int commits = store_.commits();
  const std::unique_ptr<Keyring> second = MustInit();
  EXPECT_THAT(made_, IsEmpty());
  EXPECT_EQ(store_.commits(), commits);
  EXPECT_EQ(ReadAll(key_path()), file);
  EXPECT_EQ(second->fleet_id(), first->fleet_id());
  EXPECT_EQ(second->fleet_ca().sha256(), first->fleet_ca().sha256());
  EXPECT_EQ(second->manifest_key().spki_sha256(), first->manifest_key().spki_sha256());
}

TEST_F(KeyringTest, TheFleetIdIsARandomUuid) {
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  const std::string id = MustInit()->fleet_id();
  EXPECT_TRUE(std::regex_match(id, uuid)) << id;
  certcast::testing::MemoryStore other;
  environment_.store = &other;
  EXPECT_NE(MustInit()->fleet_id(), id);
}

TEST_F(KeyringTest, InitTakesAKeyFileThatIsThere) {
  std::filesystem::create_directory(directory_.path() + "/etc");
  const std::string text = absl::Base64Escape(std::string(32, 'k'));
  WriteAll(key_path(), text, 0400);
  MustInit();
  EXPECT_EQ(ReadAll(key_path()), text);
  EXPECT_THAT(made_, ElementsAre(HasSubstr("fleet ")));
}

TEST_F(KeyringTest, OpenBeforeInitSaysSo) {
  const auto keyring = Open();
  EXPECT_THAT(keyring, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(keyring.status()).hint(), HasSubstr("certcast init"));
  EXPECT_FALSE(std::filesystem::exists(key_path()));
}

TEST_F(KeyringTest, OpenGivesWhatInitMade) {
  const std::unique_ptr<Keyring> made = MustInit();
  const auto sealed = made->Seal("purpose", Secret("secret"));
  ASSERT_THAT(sealed, IsOk());
  const auto opened = Open();
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ((*opened)->fleet_id(), made->fleet_id());
  EXPECT_EQ((*opened)->manifest_key().spki_sha256(), made->manifest_key().spki_sha256());
  const auto secret = (*opened)->Open("purpose", *sealed);
  ASSERT_THAT(secret, IsOk());
  EXPECT_EQ(secret->ExposeSecret(), "secret");
}

TEST_F(KeyringTest, RefusesAnotherMasterKeyInPlainWords) {
  MustInit();
  WriteAll(key_path(), absl::Base64Escape(std::string(32, 'k')) + "\n", 0400);
  for (const auto& keyring : {Open().status(), Init().status()}) {
    EXPECT_THAT(keyring, AllOf(HasCode(kInvalid), HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("is not the one"))));
    EXPECT_THAT(FailureOf(keyring).detail(), HasSubstr(key_path()));
  }
}

TEST_F(KeyringTest, NeverMakesAMissingMasterKeyAgain) {
  MustInit();
  std::filesystem::remove(key_path());
  for (const auto& keyring : {Open().status(), Init().status()}) {
    EXPECT_THAT(keyring, HasCode(kInvalid));
    EXPECT_THAT(FailureOf(keyring).detail(), HasSubstr(key_path()));
    EXPECT_THAT(FailureOf(keyring).hint(), HasSubstr("backup"));
  }
  EXPECT_FALSE(std::filesystem::exists(key_path()));
}

TEST_F(KeyringTest, RefusesAMalformedMasterKeyWithoutQuotingIt) {
  MustInit();
  for (const std::string& text : {std::string("hunter2"), absl::Base64Escape(std::string(31, 'k')),
                                  absl::Base64Escape(std::string(33, 'k')), std::string("!!!!")}) {
    WriteAll(key_path(), text, 0400);
    const auto keyring = Open();
    EXPECT_THAT(keyring,
                AllOf(HasCode(kInvalid), HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("base64 of 32 bytes"))));
    EXPECT_FALSE(absl::StrContains(certcast::testing::Describe(keyring.status()), text));
  }
}

TEST_F(KeyringTest, RefusesAKeyFileThatOthersCanRead) {
  MustInit();
  ASSERT_EQ(chmod(key_path().c_str(), 0440), 0);
  EXPECT_THAT(Open(), HasReason(Reason::PERMISSION_DENIED, HasSubstr(key_path())));
}

TEST_F(KeyringTest, RefusesAKeyFileOfAnotherUser) {
  MustInit();
  certcast::testing::MemoryFileSystem files;
  files.PutFile(key_path(), ReadAll(key_path()), {0400, 65534, 65534});
  environment_.files = &files;
  EXPECT_THAT(Open(), HasReason(Reason::PERMISSION_DENIED, HasSubstr("belongs to user 65534")));
}

TEST_F(KeyringTest, SaysWhyAKeyFileCantBeRead) {
  MustInit();
  std::filesystem::remove(key_path());
  std::filesystem::create_directory(key_path());
  EXPECT_THAT(FailureOf(Open().status()).detail(), HasSubstr(key_path()));
}

TEST_F(KeyringTest, FollowsAnAdministratorsLinkToTheKey) {
  MustInit();
  const std::string elsewhere = directory_.path() + "/elsewhere.key";
  std::filesystem::rename(key_path(), elsewhere);
  std::filesystem::create_symlink(elsewhere, key_path());
  EXPECT_THAT(Open(), IsOk());
}

TEST_F(KeyringTest, RefusesALinkThatAnotherUserPlanted) {
  MustInit();
  certcast::testing::MemoryFileSystem files;
  files.PutLink(key_path(), directory_.path() + "/elsewhere.key", 65534);
  environment_.files = &files;
  EXPECT_THAT(Open(), HasReason(Reason::PERMISSION_DENIED, HasSubstr("the link")));
}

TEST_F(KeyringTest, DoesNotWriteThroughALinkToNothing) {
  std::filesystem::create_directory(directory_.path() + "/etc");
  const std::string elsewhere = directory_.path() + "/elsewhere.key";
  std::filesystem::create_symlink(elsewhere, key_path());
  EXPECT_THAT(Init(), HasCode(kInvalid));
  EXPECT_FALSE(std::filesystem::exists(elsewhere));
  EXPECT_TRUE(std::filesystem::is_symlink(key_path()));
}

TEST_F(KeyringTest, WorksWithAPassphrase) {
  UsePassphrase("correct horse battery staple\n");
  const std::unique_ptr<Keyring> made = MustInit();
  EXPECT_THAT(made_, ElementsAre(HasSubstr("fleet ")));
  const auto sealed = made->Seal("purpose", Secret("secret"));
  const auto opened = Open();
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ((*opened)->Open("purpose", *sealed)->ExposeSecret(), "secret");

  UsePassphrase("correct horse battery stable\n");
  const auto wrong = Open();
  EXPECT_THAT(wrong, AllOf(HasCode(kInvalid), HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("the passphrase in"))));
  EXPECT_FALSE(absl::StrContains(certcast::testing::Describe(wrong.status()), "horse"));
}

TEST_F(KeyringTest, EachStateHasItsOwnSalt) {
  UsePassphrase("correct horse battery staple\n");
  MustInit();
  state::v1::MasterKeyRecord first;
  ASSERT_TRUE(first.ParseFromString(store_.Get("keyring/master")->value));
  EXPECT_EQ(first.scrypt().n(), 1u << 17);
  EXPECT_EQ(first.scrypt().r(), 8u);
  EXPECT_EQ(first.scrypt().p(), 1u);
  certcast::testing::MemoryStore other;
  environment_.store = &other;
  MustInit();
  state::v1::MasterKeyRecord second;
  ASSERT_TRUE(second.ParseFromString(other.Get("keyring/master")->value));
  EXPECT_THAT(first.scrypt().salt(), SizeIs(32));
  EXPECT_NE(first.scrypt().salt(), second.scrypt().salt());
}

TEST_F(KeyringTest, SaysWhenTheKindOfMasterKeyWasChanged) {
  MustInit();
  const MasterKeyConfig key = config_;
  UsePassphrase("correct horse battery staple\n");
  EXPECT_THAT(Open(), AllOf(HasCode(kInvalid), HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("sealed under a key"))));
  certcast::testing::MemoryStore other;
  environment_.store = &other;
  MustInit();
  config_ = key;
  EXPECT_THAT(Open(),
              AllOf(HasCode(kInvalid), HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("sealed under a passphrase"))));
}

TEST_F(KeyringTest, DoesNotMakeUpAPassphrase) {
  config_.key = {};
  config_.passphrase = {SecretReference::Kind::kFile, directory_.path() + "/passphrase"};
  EXPECT_THAT(Init(), HasCode(kInvalid));
  EXPECT_FALSE(std::filesystem::exists(config_.passphrase.name));
  EXPECT_EQ(store_.commits(), 0);
}

TEST_F(KeyringTest, DoesNotTrustImpossibleScryptParameters) {
  UsePassphrase("correct horse battery staple\n");
  MustInit();
  state::v1::MasterKeyRecord record;
  ASSERT_TRUE(record.ParseFromString(store_.Get("keyring/master")->value));
  record.mutable_scrypt()->set_n(uint64_t{1} << 40);
  Transaction transaction;
  transaction.writes.push_back({"keyring/master", record.SerializeAsString()});
  ASSERT_THAT(store_.Commit(transaction), IsOk());
  EXPECT_THAT(Open(), HasReason(Reason::STORAGE_FAILED, HasSubstr("keyring/master")));
}

TEST_F(KeyringTest, NoSecretIsInTheStoreInTheOpen) {
  const std::unique_ptr<Keyring> keyring = MustInit();
  std::string master;
  ASSERT_TRUE(absl::Base64Unescape(ReadAll(key_path()), &master));
  const std::vector<StoredRecord> records = *store_.List("");
  ASSERT_THAT(records, SizeIs(3));
  for (const StoredRecord& record : records) {
    EXPECT_FALSE(absl::StrContains(record.value, "PRIVATE KEY")) << record.key;
    EXPECT_FALSE(absl::StrContains(record.value, master)) << record.key;
  }
}

// Every byte of the store is either checked or told to be damaged: nothing opens as something else.
TEST_F(KeyringTest, AChangedByteNeverGivesOtherKeys) {
  const std::unique_ptr<Keyring> good = MustInit();
  const std::string record = store_.Get("keyring/fleet")->value;
  for (size_t i = 0; i < record.size(); i += 7) {
    std::string changed = record;
    changed[i] ^= 0x20;
    Transaction transaction;
    transaction.writes.push_back({"keyring/fleet", changed});
    ASSERT_THAT(store_.Commit(transaction), IsOk());
    const auto keyring = Open();
    if (!keyring.ok()) continue;
    EXPECT_EQ((*keyring)->manifest_key().spki_sha256(), good->manifest_key().spki_sha256());
    EXPECT_EQ((*keyring)->fleet_id(), good->fleet_id());
  }
}

TEST_F(KeyringTest, RefusesKeysOfOneKindInThePlaceOfAnother) {
  MustInit();
  state::v1::FleetRecord fleet;
  ASSERT_TRUE(fleet.ParseFromString(store_.Get("keyring/fleet")->value));
  *fleet.mutable_manifest_key() = fleet.ca_key();
  Transaction transaction;
  transaction.writes.push_back({"keyring/fleet", fleet.SerializeAsString()});
  ASSERT_THAT(store_.Commit(transaction), IsOk());
  EXPECT_THAT(Open(), HasReason(Reason::STORAGE_FAILED, HasSubstr("/manifest`")));
}

TEST_F(KeyringTest, RefusesAnotherFleetsRecord) {
  MustInit();
  certcast::testing::MemoryStore other;
  environment_.store = &other;
  MustInit();
  state::v1::FleetRecord theirs;
  ASSERT_TRUE(theirs.ParseFromString(other.Get("keyring/fleet")->value));
  state::v1::FleetRecord ours;
  ASSERT_TRUE(ours.ParseFromString(store_.Get("keyring/fleet")->value));
  *ours.mutable_manifest_key() = theirs.manifest_key();
  Transaction transaction;
  transaction.writes.push_back({"keyring/fleet", ours.SerializeAsString()});
  ASSERT_THAT(store_.Commit(transaction), IsOk());
  environment_.store = &store_;
  EXPECT_THAT(Open(), HasReason(Reason::STORAGE_FAILED));
}

TEST_F(KeyringTest, LeavesTheRecordsOfANewerCertcastAlone) {
  MustInit();
  state::v1::FleetRecord fleet;
  ASSERT_TRUE(fleet.ParseFromString(store_.Get("keyring/fleet")->value));
  fleet.set_schema(2);
  Transaction transaction;
  transaction.writes.push_back({"keyring/fleet", fleet.SerializeAsString()});
  ASSERT_THAT(store_.Commit(transaction), IsOk());
  EXPECT_THAT(Open(), HasReason(Reason::STORAGE_FAILED, HasSubstr("newer certcast")));
  EXPECT_THAT(Init(), HasReason(Reason::STORAGE_FAILED, HasSubstr("newer certcast")));
}

// Stops Init before, and in the middle of, each of its file operations, and before each of its commits.
TEST_F(KeyringTest, InitGoesOnAfterACrashAnywhere) {
  for (const bool in_the_middle : {false, true}) {
    bool crashed = true;
    for (int n = 1; crashed; ++n) {
      SCOPED_TRACE(absl::StrCat("file operation ", n, in_the_middle ? ", half done" : ""));
      certcast::testing::TemporaryDirectory directory;
      certcast::testing::MemoryStore store;
      certcast::testing::FaultFileSystem files(FileSystem::Real());
      config_.key.name = directory.path() + "/etc/master.key";
      environment_ = {&store, &files, &clock_};
      if (in_the_middle) {
        files.CrashInTheMiddleOf(n);
      } else {
        files.CrashAt(n);
      }
      const auto stopped = Init();
      crashed = files.has_crashed();
      EXPECT_EQ(stopped.ok(), !crashed);
      const std::string left = std::filesystem::exists(key_path()) ? ReadAll(key_path()) : "";
      environment_.files = &FileSystem::Real();
      const auto keyring = Init();
      ASSERT_THAT(keyring, IsOk());
      EXPECT_THAT(Open(), IsOk());
      // What was complete is kept; nothing of what was not is left.
      if (!left.empty()) {
        EXPECT_EQ(ReadAll(key_path()), left);
      }
      EXPECT_THAT(ReadAll(key_path()), SizeIs(45));
      const std::filesystem::directory_iterator entries(directory.path() + "/etc");
      EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
    }
  }
}

TEST_F(KeyringTest, InitGoesOnAfterACrashBetweenCommits) {
  int failed = 0;
  for (int commits = 0;; ++commits) {
    certcast::testing::TemporaryDirectory directory;
    certcast::testing::MemoryStore store;
    config_.key.name = directory.path() + "/etc/master.key";
    environment_.store = &store;
    store.FailCommitsAfter(commits, FailErrno(ENOSPC, "writing"));
    const auto stopped = Init();
    const std::string left = ReadAll(key_path());
    store.StopFailing();
    const std::unique_ptr<Keyring> keyring = MustInit();
    EXPECT_EQ(ReadAll(key_path()), left);
    EXPECT_THAT(keyring->LoadControllerIdentity(), IsOk());
    if (stopped.ok()) break;
    EXPECT_THAT(stopped, HasReason(Reason::NO_SPACE));
    ++failed;
  }
  EXPECT_EQ(failed, 2);
}

TEST_F(KeyringTest, InitUnderALostLeaseWritesNothing) {
  const uint64_t old_epoch = (*store_.TakeLease("certcast init"))->epoch();
  const auto next = store_.TakeLease("certcast init");
  EXPECT_THAT(Keyring::Init(config_, environment_, old_epoch, nullptr), HasReason(Reason::STALE_EPOCH));
  EXPECT_EQ(store_.commits(), 0);
}

TEST_F(KeyringTest, TheControllersIdentityNamesTheController) {
  const std::unique_ptr<Keyring> keyring = MustInit();
  const auto identity = keyring->LoadControllerIdentity();
  ASSERT_THAT(identity, IsOk());
  const auto chain = ParseChainPem(identity->chain_pem);
  ASSERT_THAT(chain, IsOk());
  ASSERT_THAT(*chain, SizeIs(2));
  const Certificate& leaf = chain->front();
  EXPECT_THAT(leaf.dns_names(), ElementsAre("controller.certcast"));
  EXPECT_THAT(leaf.uris(), ElementsAre("certcast://" + keyring->fleet_id() + "/controller"));
  EXPECT_EQ(chain->back().sha256(), keyring->fleet_ca().sha256());
  EXPECT_EQ(identity->fleet_ca_pem, keyring->fleet_ca().ToPem());
  EXPECT_THAT(CheckChainAgainstRoots(*chain, {keyring->fleet_ca()}, clock_.Now()), IsOk());
  EXPECT_EQ(leaf.not_after(), identity->not_after);
  const auto key = PrivateKey::FromPem(identity->private_key_pem.ExposeSecret());
  ASSERT_THAT(key, IsOk());
  EXPECT_THAT(CheckKeyMatches(leaf, *key), IsOk());
  std::vector<std::string> names = leaf.dns_names();
  names.insert(names.end(), leaf.uris().begin(), leaf.uris().end());
  EXPECT_TRUE(IsController(keyring->fleet_id(), names));
}

TEST_F(KeyringTest, TheControllersIdentityIsRenewedAtTwoThirds) {
  const std::unique_ptr<Keyring> keyring = MustInit();
  const std::string first = keyring->LoadControllerIdentity()->chain_pem;
  clock_.Advance(absl::Hours(24 * 20) - absl::Minutes(2));
  EXPECT_EQ(keyring->LoadControllerIdentity()->chain_pem, first);
  clock_.Advance(absl::Minutes(2));
  const auto renewed = keyring->LoadControllerIdentity();
  ASSERT_THAT(renewed, IsOk());
  EXPECT_NE(renewed->chain_pem, first);
  EXPECT_EQ(renewed->not_after, clock_.Now() + absl::Hours(24 * 30));
  EXPECT_EQ(keyring->LoadControllerIdentity()->chain_pem, renewed->chain_pem);
  EXPECT_EQ((*Open())->LoadControllerIdentity()->chain_pem, renewed->chain_pem);
}

TEST_F(KeyringTest, AClockThatWasSetBackDoesNotLeaveAnIdentityOfTheFuture) {
  const absl::Time start = clock_.Now();
  const std::unique_ptr<Keyring> keyring = MustInit();
  clock_.JumpTo(start + absl::Hours(24 * 365));
  ASSERT_GT(keyring->LoadControllerIdentity()->not_before, start);
  clock_.JumpTo(start + absl::Hours(1));
  const auto identity = keyring->LoadControllerIdentity();
  ASSERT_THAT(identity, IsOk());
  EXPECT_LE(identity->not_before, clock_.Now());
}

TEST_F(KeyringTest, ARenewalThatCantBeSavedWaitsUntilItMatters) {
  const std::unique_ptr<Keyring> keyring = MustInit();
  const std::string first = keyring->LoadControllerIdentity()->chain_pem;
  store_.FailCommitsAfter(0, FailErrno(ENOSPC, "writing"));
  clock_.Advance(absl::Hours(24 * 25));
  const auto still = keyring->LoadControllerIdentity();
  ASSERT_THAT(still, IsOk());
  EXPECT_EQ(still->chain_pem, first);
  clock_.Advance(absl::Hours(24 * 6));
  EXPECT_THAT(keyring->LoadControllerIdentity(), HasReason(Reason::NO_SPACE, HasSubstr("renewing the controller's")));
}

struct SignedNode {
  Certificate certificate;
  Certificate ca;
  v1::FleetIdentity fleet;
};

// Takes an identity apart as a node does.
SignedNode Read(const std::string& pem) {
  const auto blocks = SplitPem(pem, 65536);
  EXPECT_THAT(blocks, IsOk());
  EXPECT_THAT(*blocks, SizeIs(3));
  EXPECT_EQ((*blocks)[2].label, "CERTCAST FLEET");
  v1::FleetIdentity fleet;
  EXPECT_TRUE(fleet.ParseFromString(*DecodePem((*blocks)[2])));
  const auto chain = ParseChainPem(absl::StrCat((*blocks)[0].text, "\n", (*blocks)[1].text, "\n"));
  EXPECT_THAT(chain, IsOk());
  return {chain->front(), chain->back(), fleet};
}

TEST_F(KeyringTest, SignsANodeAsTheNameThatWasGiven) {
  const std::unique_ptr<Keyring> keyring = MustInit();
  const PrivateKey key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  // What the request asks for does not count.
  const std::string csr = CsrDerToPem(*MakeCsr(key, {"controller.certcast", "evil.example"}));
  const auto identity = keyring->SignNode("web-01", csr);
  ASSERT_THAT(identity, IsOk());
  const SignedNode node = Read(identity->pem);
  EXPECT_THAT(node.certificate.dns_names(), ElementsAre("web-01.node.certcast"));
  EXPECT_THAT(node.certificate.uris(), ElementsAre("certcast://" + keyring->fleet_id() + "/node/web-01"));
  EXPECT_EQ(node.certificate.subject_name(), "web-01");
  EXPECT_EQ(node.certificate.sha256(), identity->sha256);
  EXPECT_EQ(node.certificate.not_after(), identity->not_after);
  EXPECT_EQ(node.certificate.not_before(), clock_.Now() - absl::Minutes(1));
  EXPECT_THAT(CheckKeyMatches(node.certificate, key), IsOk());
  EXPECT_EQ(node.ca.sha256(), keyring->fleet_ca().sha256());
  EXPECT_THAT(CheckChainAgainstRoots({node.certificate}, {keyring->fleet_ca()}, clock_.Now()), IsOk());

  EXPECT_EQ(node.fleet.schema(), 1u);
  EXPECT_EQ(node.fleet.fleet_id(), keyring->fleet_id());
  EXPECT_EQ(node.fleet.node(), "web-01");
  const auto manifest_key = ManifestKey::FromPem(node.fleet.manifest_key_pem());
  ASSERT_THAT(manifest_key, IsOk());
  EXPECT_EQ(manifest_key->raw(), ManifestKey::FromPrivate(keyring->manifest_key())->raw());

  std::vector<std::string> names = node.certificate.dns_names();
  names.insert(names.end(), node.certificate.uris().begin(), node.certificate.uris().end());
  EXPECT_EQ(PeerNode(keyring->fleet_id(), names), "web-01");
  EXPECT_FALSE(IsController(keyring->fleet_id(), names));
}

TEST_F(KeyringTest, SignsOnlyNodeNames) {
  const std::unique_ptr<Keyring> keyring = MustInit();
  const std::string csr = CsrDerToPem(*MakeCsr(*PrivateKey::Generate(KeyType::kEcdsaP256), {"a.example"}));
  for (const char* name : {"", "web 01", "Web", "../x", "web,URI:certcast://x/controller"}) {
    EXPECT_THAT(keyring->SignNode(name, csr), HasCode(kInvalid)) << name;
  }
}

TEST_F(KeyringTest, AnIdentityHoldsNoSecret) {
  const std::unique_ptr<Keyring> keyring = MustInit();
  const std::string csr = CsrDerToPem(*MakeCsr(*PrivateKey::Generate(KeyType::kEcdsaP256), {"a.example"}));
  EXPECT_FALSE(absl::StrContains(keyring->SignNode("web-01", csr)->pem, "PRIVATE"));
}

}  // namespace
}  // namespace certcast::controller
