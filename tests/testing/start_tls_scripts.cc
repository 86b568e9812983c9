#include "tests/testing/start_tls_scripts.h"

#include "absl/strings/str_cat.h"

namespace certcast::testing {
namespace {

// One BER element with less than 128 bytes in it.
std::string Element(char tag, absl::string_view contents) {
  return absl::StrCat(std::string{tag, static_cast<char>(contents.size())}, contents);
}

std::vector<Exchange> MailScript(const std::string& hello) {
  return {{"220-mail.test ESMTP\r\n220 and welcome\r\n", hello + " [127.0.0.1]\r\n"},
          {"250-mail.test\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 8BITMIME\r\n", "STARTTLS\r\n"},
          {"220 2.0.0 Ready to start TLS\r\n", ""}};
}

}  // namespace

std::string MysqlGreeting(unsigned capabilities) {
  std::string payload = absl::StrCat("\x0a", "8.0.36", std::string(1, '\0'), "\x07", std::string(3, '\0'), "12345678",
                                     std::string(1, '\0'));
  payload += static_cast<char>(capabilities & 0xff);
  payload += static_cast<char>(capabilities >> 8 & 0xff);
  absl::StrAppend(&payload, "\x21", std::string(15, '\0'), "123456789012", std::string(1, '\0'));
  return absl::StrCat(std::string{static_cast<char>(payload.size()), 0, 0, 0}, payload);
}

std::string LdapExtendedResponse(char result, absl::string_view diagnostic) {
  const std::string response =
      absl::StrCat(Element(0x0a, std::string(1, result)), Element(0x04, ""), Element(0x04, diagnostic));
  return Element(0x30, absl::StrCat(Element(0x02, "\x01"), Element(0x78, response)));
}

std::vector<Exchange> StartTlsScript(StartTlsProtocol protocol) {
  switch (protocol) {
    case StartTlsProtocol::kNone:
      return {};
    case StartTlsProtocol::kSmtp:
      return MailScript("EHLO");
    case StartTlsProtocol::kLmtp:
      return MailScript("LHLO");
    case StartTlsProtocol::kImap:
      return {{"* OK [CAPABILITY IMAP4rev1] ready\r\n", "a CAPABILITY\r\n"},
              {"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na OK done\r\n", "b STARTTLS\r\n"},
              {"b OK begin TLS\r\n", ""}};
    case StartTlsProtocol::kPop3:
      return {{"+OK ready\r\n", "CAPA\r\n"},
              {"+OK list follows\r\nTOP\r\nSTLS\r\n.\r\n", "STLS\r\n"},
              {"+OK begin TLS\r\n", ""}};
    case StartTlsProtocol::kFtp:
      return {{"220-Welcome\r\n  to this server\r\n220 ready\r\n", "AUTH TLS\r\n"}, {"234 AUTH TLS OK\r\n", ""}};
    case StartTlsProtocol::kLdap:
      return {{"", "1.3.6.1.4.1.1466.20037"}, {LdapExtendedResponse(0, ""), ""}};
    case StartTlsProtocol::kPostgres:
      return {{"", absl::StrCat(std::string(3, '\0'), "\x08\x04\xd2\x16\x2f")}, {"S", ""}};
    case StartTlsProtocol::kMysql:
      return {{MysqlGreeting(0xffff), absl::StrCat("\x21", std::string(23, '\0'))}};
    case StartTlsProtocol::kXmpp:
      return {{"", "xmlns:stream='http://etherx.jabber.org/streams'>"},
              {"<?xml version='1.0'?>\n<stream:stream from='chat.test' id='a>b' version='1.0' "
               "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
               "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
               "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
               "</stream:features>",
               "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
              {"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", ""}};
  }
  return {};
}

}  // namespace certcast::testing
