#include "common/probe/start_tls.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/scripted_stream.h"
#include "tests/testing/start_tls_scripts.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::EndlessStream;
using ::certcast::testing::Exchange;
using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::LdapExtendedResponse;
using ::certcast::testing::MysqlGreeting;
using ::certcast::testing::ScriptedStream;
using ::certcast::testing::StartTlsScript;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kPeer[] = "10.0.0.1:25";
constexpr char kHost[] = "chat.test";

using Pieces = std::deque<std::string>;

Pieces PiecesOf(StartTlsProtocol protocol) {
  Pieces pieces;
  for (const Exchange& exchange : StartTlsScript(protocol)) {
    if (!exchange.says.empty()) pieces.push_back(exchange.says);
  }
  return pieces;
}

absl::Status Ask(StartTlsProtocol protocol, Pieces pieces, bool hangs = false) {
  ScriptedStream stream(std::move(pieces), hangs);
  return StartTls(stream, protocol, kHost, kPeer);
}

class EveryProtocol : public ::testing::TestWithParam<StartTlsName> {
 protected:
  StartTlsProtocol protocol() const { return GetParam().protocol; }
  std::string Names(absl::string_view what) const { return absl::StrCat(GetParam().name, " ", what); }
};

INSTANTIATE_TEST_SUITE_P(All, EveryProtocol, ::testing::ValuesIn(StartTlsNames()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(EveryProtocol, AsksWhereTlsIsOffered) {
  ScriptedStream stream(PiecesOf(protocol()));
  EXPECT_THAT(StartTls(stream, protocol(), kHost, kPeer), IsOk());
  size_t from = 0;
  for (const Exchange& exchange : StartTlsScript(protocol())) {
    const size_t at = stream.written().find(exchange.awaits, from);
    ASSERT_NE(at, std::string::npos) << exchange.awaits;
    from = at + exchange.awaits.size();
  }
  EXPECT_EQ(from, stream.written().size()) << "it said more than it must";
}

TEST_P(EveryProtocol, PutsPiecesTogether) {
  Pieces bytes;
  for (const std::string& piece : PiecesOf(protocol())) {
    for (const char byte : piece) bytes.push_back(std::string(1, byte));
  }
  EXPECT_THAT(Ask(protocol(), bytes), IsOk());
}

// Whatever it was about to say: after its go-ahead only TLS may come, or somebody in between could slip in answers
// (CVE-2011-0411, CVE-2021-23222).
TEST_P(EveryProtocol, RefusesWhatComesInTheClearAfterTheGoAhead) {
  Pieces pieces = PiecesOf(protocol());
  pieces.back() += "250 injected\r\n";
  EXPECT_THAT(Ask(protocol(), pieces), HasReason(Reason::PROTOCOL, AllOf(StartsWith(kPeer), HasSubstr("in the clear"),
                                                                         HasSubstr("250 injected"))));
}

TEST_P(EveryProtocol, RefusesGarbage) {
  const std::string heavy(300, '\xa5');
  for (const std::string& garbage :
       {std::string("HTTP/1.1 400 Bad Request\r\n"), std::string("\x15\x03\x01\x00\x02\x02\x46\n", 8),
        absl::StrCat(heavy, "\r\n"), std::string("\r\n\r\n\r\n\r\n\r\n\r\nx\r\n")}) {
    EXPECT_THAT(Ask(protocol(), {garbage, garbage}),
                HasReason(Reason::PROTOCOL, AllOf(StartsWith(kPeer), HasSubstr(Names("")), HasSubstr("is not "))))
        << garbage;
  }
}

TEST_P(EveryProtocol, NamesTheStepInWhichItHangs) {
  const Pieces whole = PiecesOf(protocol());
  for (size_t said = 0; said < whole.size(); ++said) {
    EXPECT_THAT(Ask(protocol(), {whole.begin(), whole.begin() + static_cast<ptrdiff_t>(said)}, /*hangs=*/true),
                HasReason(Reason::TIMED_OUT, StartsWith(Names(""))))
        << said;
  }
  EXPECT_THAT(FailureOf(Ask(protocol(), {}, /*hangs=*/true)).hint(), HasSubstr("leave starttls out"));
}

TEST_P(EveryProtocol, SaysThatTheServerClosed) {
  const Pieces whole = PiecesOf(protocol());
  for (size_t said = 0; said < whole.size(); ++said) {
    EXPECT_THAT(Ask(protocol(), {whole.begin(), whole.begin() + static_cast<ptrdiff_t>(said)}),
                HasReason(Reason::LINK_LOST, HasSubstr("the server closed the connection")))
        << said;
  }
  EXPECT_THAT(FailureOf(Ask(protocol(), {})).detail(), HasSubstr(Names("")));
}

TEST_P(EveryProtocol, ReadsNoMoreThanItMust) {
  for (const absl::string_view first : {"220-", "* OK ", "+OK ", "<stream:stream ", "0\x83\xff\xff\xff", "E", "\x0a"}) {
    EndlessStream stream(std::string(first), std::string(1000, 'x'));
    EXPECT_FALSE(StartTls(stream, protocol(), kHost, kPeer).ok());
    EXPECT_LT(stream.read(), 70'000u) << first;
  }
}

TEST_P(EveryProtocol, ReadsNoMoreLinesThanItMust) {
  for (const absl::string_view line :
       {"220-hello\r\n", "* OK hello\r\n", "+OK hello\r\n", "<stream:stream a='b'>", "<stream:features>"}) {
    const std::string text(line);
    EndlessStream stream(text, text);
    EXPECT_FALSE(StartTls(stream, protocol(), kHost, kPeer).ok());
    EXPECT_LT(stream.read(), 70'000u) << line;
  }
}

struct Case {
  const char* name;
  StartTlsProtocol protocol;
  Pieces pieces;
  std::string detail;
};

class Refusal : public ::testing::TestWithParam<Case> {};

TEST_P(Refusal, IsSaidInWords) {
  EXPECT_THAT(Ask(GetParam().protocol, GetParam().pieces),
              HasReason(Reason::PROTOCOL, AllOf(StartsWith("10.0.0.1:25: "), EndsWith(GetParam().detail))));
}

constexpr char kXmppStream[] = "<?xml version='1.0'?><stream:stream xmlns='jabber:client'>";

INSTANTIATE_TEST_SUITE_P(
    All, Refusal,
    ::testing::Values(
        Case{"SmtpWithoutIt",
             StartTlsProtocol::kSmtp,
             {"220 a\r\n", "250-a\r\n250 SIZE\r\n"},
             "smtp EHLO: the server does not offer STARTTLS"},
        Case{"SmtpHostOfThatName",
             StartTlsProtocol::kSmtp,
             {"220 a\r\n", "250-STARTTLS\r\n250 XSTARTTLS\r\n"},
             "smtp EHLO: the server does not offer STARTTLS"},
        Case{"SmtpNotNow",
             StartTlsProtocol::kSmtp,
             {"220 a\r\n", "250-a\r\n250 starttls\r\n", "454 4.7.0 no key\r\n"},
             R"(smtp STARTTLS: the server refused STARTTLS: "454 4.7.0 no key")"},
        Case{"SmtpNoConnections",
             StartTlsProtocol::kSmtp,
             {"554 go away\r\n"},
             R"(smtp greeting: the server refused the connection: "554 go away")"},
        Case{"SmtpNoHello",
             StartTlsProtocol::kSmtp,
             {"220 a\r\n", "550 who are you\r\n"},
             R"(smtp EHLO: the server refused EHLO: "550 who are you")"},
        Case{"SmtpCodesThatDiffer",
             StartTlsProtocol::kSmtp,
             {"220-a\r\n250 b\r\n"},
             R"(smtp greeting: the server answered with something that is not smtp: "250 b")"},
        Case{"LmtpWithoutIt",
             StartTlsProtocol::kLmtp,
             {"220 a\r\n", "250 a\r\n"},
             "lmtp LHLO: the server does not offer STARTTLS"},
        Case{"FtpNotKnown",
             StartTlsProtocol::kFtp,
             {"220 a\r\n", "502 what\r\n"},
             R"(ftp AUTH TLS: the server does not offer AUTH TLS: "502 what")"},
        Case{"FtpNotBeforeALogin",
             StartTlsProtocol::kFtp,
             {"220 a\r\n", "530 Please login with USER and PASS.\r\n"},
             R"(ftp AUTH TLS: the server does not offer AUTH TLS: "530 Please login with USER and PASS.")"},
        Case{"FtpNotNow",
             StartTlsProtocol::kFtp,
             {"220 a\r\n", "431 no key\r\n"},
             R"(ftp AUTH TLS: the server refused AUTH TLS: "431 no key")"},
        Case{"FtpBusy",
             StartTlsProtocol::kFtp,
             {"120 soon\r\n", "421 too many\r\n"},
             R"(ftp greeting: the server refused the connection: "421 too many")"},
        Case{"ImapWithoutIt",
             StartTlsProtocol::kImap,
             {"* OK\r\n", "* CAPABILITY IMAP4rev1 STARTTLSX\r\na OK\r\n"},
             "imap CAPABILITY: the server does not offer STARTTLS"},
        Case{"ImapNotNow",
             StartTlsProtocol::kImap,
             {"* OK\r\n", "* CAPABILITY STARTTLS\r\na OK\r\n", "b NO later\r\n"},
             R"(imap STARTTLS: the server refused STARTTLS: "NO later")"},
        Case{"ImapBye",
             StartTlsProtocol::kImap,
             {"* BYE busy\r\n"},
             R"(imap greeting: the server refused the connection: "* BYE busy")"},
        Case{"ImapPreauth",
             StartTlsProtocol::kImap,
             {"* PREAUTH hello\r\n"},
             "imap greeting: the server takes us as logged in already (PREAUTH), so STARTTLS is not allowed"},
        Case{"ImapByeLater",
             StartTlsProtocol::kImap,
             {"* OK\r\n", "* BYE idle\r\n"},
             R"(imap CAPABILITY: the server refused the connection: "* BYE idle")"},
        Case{"Pop3WithoutIt",
             StartTlsProtocol::kPop3,
             {"+OK\r\n", "+OK\r\nTOP\r\n.\r\n"},
             "pop3 CAPA: the server does not offer STLS"},
        Case{"Pop3WithoutCapa",
             StartTlsProtocol::kPop3,
             {"+OK\r\n", "-ERR what\r\n", "-ERR what\r\n"},
             R"(pop3 STLS: the server refused STLS: "-ERR what")"},
        Case{"Pop3Busy",
             StartTlsProtocol::kPop3,
             {"-ERR busy\r\n"},
             R"(pop3 greeting: the server refused the connection: "-ERR busy")"},
        Case{"LdapNotKnown",
             StartTlsProtocol::kLdap,
             {LdapExtendedResponse(2, "unsupported extended operation")},
             R"(ldap StartTLS: the server does not offer StartTLS: "unsupported extended operation")"},
        Case{"LdapNotNow",
             StartTlsProtocol::kLdap,
             {LdapExtendedResponse(52, "no key")},
             R"(ldap StartTLS: the server refused StartTLS: "result 52 no key")"},
        Case{"LdapHuge",
             StartTlsProtocol::kLdap,
             {std::string("0\x82\x7f\xff", 4)},
             "ldap StartTLS: the server's answer is larger than 16 KiB"},
        Case{"PostgresWithoutIt",
             StartTlsProtocol::kPostgres,
             {"N"},
             "postgres SSLRequest: the server does not offer TLS"},
        Case{"PostgresError",
             StartTlsProtocol::kPostgres,
             {"EFATAL: sorry, too many clients"},
             R"(postgres SSLRequest: the server refused TLS: "FATAL: sorry, too many clients")"},
        Case{"MysqlWithoutIt",
             StartTlsProtocol::kMysql,
             {MysqlGreeting(0xf7ff)},
             "mysql greeting: the server does not offer TLS"},
        Case{"MysqlBlocked",
             StartTlsProtocol::kMysql,
             {std::string("\x0a\0\0\0\xff\x69\x04"
                          "Blocked",
                          14)},
             R"(mysql greeting: the server refused the connection: "Blocked")"},
        Case{"XmppWithoutIt",
             StartTlsProtocol::kXmpp,
             {absl::StrCat(kXmppStream, "<stream:features><bind xmlns='x'/></stream:features>")},
             "xmpp stream: the server does not offer starttls"},
        Case{"XmppWithNothing",
             StartTlsProtocol::kXmpp,
             {absl::StrCat(kXmppStream, "<stream:features/>")},
             "xmpp stream: the server does not offer starttls"},
        Case{"XmppOtherHost",
             StartTlsProtocol::kXmpp,
             {absl::StrCat(kXmppStream, "<stream:error><host-unknown xmlns='x'/></stream:error>")},
             R"(xmpp stream: the server refused the stream: "<host-unknown xmlns=\'x\'/></stream:error>")"},
        Case{"XmppWithAText",
             StartTlsProtocol::kXmpp,
             {absl::StrCat(kXmppStream,
                           "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                           "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>No features</text></stream:error>")},
             R"(xmpp stream: the server refused the stream: "<undefined-condition/><text>No features</text>)"
             R"(</stream:error>")"},
        Case{"XmppNotNow",
             StartTlsProtocol::kXmpp,
             {absl::StrCat(kXmppStream,
                           "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"),
              "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
             R"(xmpp starttls: the server refused starttls: "<failure xmlns=\'urn:ietf:params:xml:ns:xmpp-tls\'/>")"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(StartTlsTest, SaysNothingWhereNoneIsWanted) {
  ScriptedStream stream({});
  EXPECT_THAT(StartTls(stream, StartTlsProtocol::kNone, kHost, kPeer), IsOk());
  EXPECT_EQ(stream.written(), "");
}

TEST(StartTlsTest, TriesPop3WithoutCapa) {
  EXPECT_THAT(Ask(StartTlsProtocol::kPop3, {"+OK\r\n", "-ERR what\r\n", "+OK go\r\n"}), IsOk());
}

TEST(StartTlsTest, LetsNobodyWriteXml) {
  ScriptedStream stream({});
  EXPECT_THAT(StartTls(stream, StartTlsProtocol::kXmpp, "a'><x", kPeer), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(stream.written(), "");
}

TEST(StartTlsTest, ShowsTheEndOfALongAnswerAsDots) {
  const absl::Status refused = Ask(StartTlsProtocol::kSmtp, {absl::StrCat("554 ", std::string(500, 'x'), "\r\n")});
  EXPECT_THAT(FailureOf(refused).detail(), EndsWith("xxx...\""));
  EXPECT_LT(FailureOf(refused).detail().size(), 300u);
}

TEST(StartTlsTest, LdapCutAnywhereIsNoAnswer) {
  const std::string whole = LdapExtendedResponse(0, "diagnostic");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(Ask(StartTlsProtocol::kLdap, {whole.substr(0, size)}).ok()) << size;
    // The same with a length that fits: elements inside end too early.
    if (size < 2) continue;
    std::string cut = whole.substr(0, size);
    cut[1] = static_cast<char>(size - 2);
    EXPECT_FALSE(Ask(StartTlsProtocol::kLdap, {cut}).ok()) << size;
  }
}

}  // namespace
}  // namespace certcast
