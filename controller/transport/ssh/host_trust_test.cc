// With keys and certificates that ssh-keygen made.
#include "controller/transport/ssh/host_trust.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/process/process.h"
#include "controller/transport/ssh/wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/sshd.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::StartsWith;

class HostTrust : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }
  void MakeKey(const std::string& name, const std::string& type = "ed25519") {
    ASSERT_THAT(testing::MakeSshKey(Path(name), type), IsOk());
  }
  static SshPublicKey ReadKey(const std::string& path) {
    const std::vector<std::string> fields = absl::StrSplit(testing::ReadFile(path), absl::ByAnyChar(" \n"));
    absl::StatusOr<SshPublicKey> key = ParseSshPublicKey(fields[0], fields[1]);
    EXPECT_THAT(key, IsOk());
    return key.ok() ? *std::move(key) : SshPublicKey();
  }
  SshPublicKey Key(const std::string& name) const { return ReadKey(Path(name) + ".pub"); }

  // Signs host's key with ca's.
  SshCertificate Sign(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"-s", Path("ca"), "-I", "id"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.push_back(Path("host.pub"));
    EXPECT_THAT(testing::RunSshKeygen(all), IsOk());
    absl::StatusOr<SshCertificate> certificate = ParseSshCertificate(ReadKey(Path("host-cert.pub")).blob);
    EXPECT_THAT(certificate, IsOk());
    return certificate.ok() ? *std::move(certificate) : SshCertificate();
  }
  KnownHost Known(const std::string& text) const {
    KnownHost known;
    known.host = "web.example.com";
    known.name = "web.example.com";
    known.files = {"F"};
    AddKnownHostLines(text, "F", known);
    return known;
  }
  KnownHost WithAuthority(const std::string& more = "") const {
    return Known(absl::StrCat("@cert-authority *.example.com ", Key("ca").ToLine(), "\n", more));
  }
  static absl::Status Check(const SshPublicKey& shown, const std::optional<SshCertificate>& certificate,
                            const KnownHost& known) {
    return CheckHostKey(shown, certificate, known, "web-01 at deploy@web.example.com:22", absl::Now());
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(HostTrust, PrintsFingerprintsAsSshKeygenDoes) {
  MakeKey("host");
  ProcessRequest request;
  request.argv = {"ssh-keygen", "-l", "-f", Path("host.pub")};
  const absl::StatusOr<ProcessResult> printed = ProcessRunner::Real().Run(request);
  ASSERT_THAT(printed, IsOk());
  EXPECT_THAT(printed->output, HasSubstr(absl::StrCat(" ", Key("host").Fingerprint(), " ")));
}

TEST_F(HostTrust, BelievesAKnownKey) {
  MakeKey("host");
  EXPECT_THAT(Check(Key("host"), std::nullopt, Known(absl::StrCat("web.example.com ", Key("host").ToLine()))), IsOk());
}

TEST_F(HostTrust, AnUnknownKeyIsRefusedWithTheLineToAdd) {
  MakeKey("host");
  const absl::Status status = Check(Key("host"), std::nullopt, Known(""));
  EXPECT_THAT(status, HasReason(Reason::HOST_KEY_UNKNOWN, AllOf(HasSubstr("web-01 at deploy@web.example.com:22"),
                                                                HasSubstr(Key("host").Fingerprint()))));
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr(absl::StrCat("add to F: web.example.com ", Key("host").ToLine())));
}

TEST_F(HostTrust, ALongKeysLineIsNotCutInTheHint) {
  // As long as one of RSA with 8192 bits, which takes long to make.
  SshPublicKey shown;
  AppendString(shown.blob, "ssh-rsa");
  AppendString(shown.blob, std::string("\x01\x00\x01", 3));
  AppendString(shown.blob, std::string(1025, 'n'));
  const absl::Status status = Check(shown, std::nullopt, Known(""));
  EXPECT_THAT(status, HasReason(Reason::HOST_KEY_UNKNOWN));
  EXPECT_THAT(FailureOf(status).hint(), AllOf(HasSubstr("ssh-keyscan"), ::testing::Not(HasSubstr("..."))));
}

TEST_F(HostTrust, AChangedKeyIsRefusedWithBothFingerprintsAndThePlace) {
  MakeKey("host");
  MakeKey("old");
  const absl::Status status =
      Check(Key("host"), std::nullopt, Known(absl::StrCat("\nweb.example.com ", Key("old").ToLine())));
  EXPECT_THAT(status, HasReason(Reason::HOST_KEY_CHANGED, AllOf(HasSubstr(Key("host").Fingerprint()),
                                                                HasSubstr(Key("old").Fingerprint() + " at F:2"))));
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr("in place of the old line: web.example.com "));
}

TEST_F(HostTrust, AllThatIsKnownOfAChangedHostMustGo) {
  MakeKey("host");
  MakeKey("old");
  MakeKey("older");
  const std::string known =
      absl::StrCat("web.example.com ", Key("old").ToLine(), "\nweb.example.com ", Key("older").ToLine());
  const absl::Status status = Check(Key("host"), std::nullopt, Known(known));
  EXPECT_THAT(status, HasReason(Reason::HOST_KEY_CHANGED, AllOf(HasSubstr(" at F:1"), HasSubstr(" at F:2"))));
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr("in place of all of the old lines: web.example.com "));
}

TEST_F(HostTrust, AnotherPortsKeyIsBelievedButDoesNotContradict) {
  MakeKey("host");
  MakeKey("old");
  KnownHost known;
  known.host = "web.example.com";
  known.name = "[web.example.com]:2222";
  known.files = {"F"};
  AddKnownHostLines(absl::StrCat("web.example.com ", Key("old").ToLine()), "F", known);
  EXPECT_THAT(Check(Key("old"), std::nullopt, known), IsOk());
  EXPECT_THAT(Check(Key("host"), std::nullopt, known), HasReason(Reason::HOST_KEY_UNKNOWN));
}

TEST_F(HostTrust, ARevokedKeyIsRefusedThoughItIsKnown) {
  MakeKey("host");
  const KnownHost known =
      Known(absl::StrCat("web.example.com ", Key("host").ToLine(), "\n@revoked * ", Key("host").ToLine()));
  EXPECT_THAT(Check(Key("host"), std::nullopt, known),
              HasReason(Reason::HOST_KEY_CHANGED, HasSubstr("revoked at F:2")));
}

class HostTrustByAuthority : public HostTrust, public ::testing::WithParamInterface<const char*> {};

TEST_P(HostTrustByAuthority, ACertificateOfAnAuthorityOfAnyKindMakesItsKeyKnown) {
  MakeKey("ca", GetParam());
  MakeKey("host", GetParam());
  const SshCertificate certificate = Sign({"-h", "-n", "other,web.example.com", "-V", "-1h:+1h", "-z", "7"});
  EXPECT_EQ(certificate.key, Key("host"));
  EXPECT_EQ(certificate.serial, 7);
  EXPECT_EQ(certificate.key_id, "id");
  EXPECT_THAT(certificate.principals, ElementsAre("other", "web.example.com"));
  EXPECT_THAT(Check(Key("host"), certificate, WithAuthority()), IsOk());
  // Each byte counts that was signed, and each of the signature.
  for (const size_t at : {size_t{60}, certificate.signed_part.size() - 1}) {
    SshCertificate forged = certificate;
    forged.signed_part[at] ^= 1;
    EXPECT_THAT(Check(Key("host"), forged, WithAuthority()),
                HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("signature")));
  }
  SshCertificate forged = certificate;
  forged.signature.back() ^= 1;
  EXPECT_THAT(Check(Key("host"), forged, WithAuthority()), HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("signature")));
}

INSTANTIATE_TEST_SUITE_P(Keys, HostTrustByAuthority,
                         ::testing::Values("ed25519", "ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:2048"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, ':');
                           return name;
                         });

TEST_F(HostTrust, ACertificateIsHeldToAllThatItSays) {
  MakeKey("ca");
  MakeKey("host");
  MakeKey("stranger");
  const struct {
    std::vector<std::string> arguments;
    const char* says;
  } cases[] = {
      {{"-h", "-n", "db.example.com"}, "is for db.example.com, not for web.example.com"},
      {{"-h"}, "is for no host at all"},
      {{"-n", "web.example.com"}, "is not one for hosts"},
      {{"-h", "-n", "web.example.com", "-V", "-2h:-1h"}, "expired "},
      {{"-h", "-n", "web.example.com", "-V", "+1h:+2h"}, "is not valid before "},
      {{"-h", "-n", "web.example.com", "-O", "critical:unheard-of"}, "has critical options: unheard-of"},
  };
  for (const auto& each : cases) {
    EXPECT_THAT(Check(Key("host"), Sign(each.arguments), WithAuthority()),
                HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr(each.says)));
  }
  const SshCertificate good = Sign({"-h", "-n", "*.example.com"});
  EXPECT_THAT(Check(Key("host"), good, WithAuthority()), IsOk());
  EXPECT_THAT(Check(Key("stranger"), good, WithAuthority()),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("for another key")));
  EXPECT_THAT(Check(Key("host"), good, Known("")),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("no authority for it")));
  EXPECT_THAT(Check(Key("host"), std::nullopt, WithAuthority()),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("has no host certificate")));
  EXPECT_THAT(Check(Key("host"), good, WithAuthority(absl::StrCat("@revoked * ", Key("ca").ToLine()))),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("revoked at F:2")));
  EXPECT_THAT(Check(Key("host"), good, WithAuthority(absl::StrCat("@revoked * ", Key("host").ToLine()))),
              HasReason(Reason::HOST_KEY_CHANGED, HasSubstr("revoked at F:2")));
}

TEST_F(HostTrust, WeakAuthoritiesAndOldSignaturesAreRefused) {
  MakeKey("ca", "rsa:1024");
  MakeKey("host");
  EXPECT_THAT(Check(Key("host"), Sign({"-h", "-n", "web.example.com"}), WithAuthority()),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("too weak")));
  ASSERT_THAT(testing::RunSshKeygen({"-t", "rsa", "-b", "2048", "-N", "", "-f", Path("old")}), IsOk());
  ASSERT_THAT(testing::RunSshKeygen(
                  {"-s", Path("old"), "-t", "ssh-rsa", "-I", "id", "-h", "-n", "web.example.com", Path("host.pub")}),
              IsOk());
  const absl::StatusOr<SshCertificate> sha1 = ParseSshCertificate(ReadKey(Path("host-cert.pub")).blob);
  ASSERT_THAT(sha1, IsOk());
  EXPECT_THAT(Check(Key("host"), *sha1, Known(absl::StrCat("@cert-authority * ", Key("old").ToLine()))),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("signature of kind ssh-rsa is not accepted")));
}

TEST_F(HostTrust, WhatIsNoCertificateDoesNotParse) {
  MakeKey("ca");
  MakeKey("host");
  Sign({"-h", "-n", "web.example.com"});
  const std::string blob = ReadKey(Path("host-cert.pub")).blob;
  for (size_t size = 0; size < blob.size(); ++size) {
    EXPECT_FALSE(ParseSshCertificate(absl::string_view(blob).substr(0, size)).ok()) << size;
  }
  EXPECT_THAT(ParseSshCertificate(blob + "x"), HasReason(Reason::MALFORMED));
  EXPECT_THAT(ParseSshCertificate(Key("host").blob), HasReason(Reason::MALFORMED, StartsWith("it is no certificate")));
}

}  // namespace
}  // namespace certcast::controller
