// The protocols whose words are lines: SMTP, LMTP, FTP, IMAP, POP3.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/probe/start_tls_dialogue.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr absl::string_view kStartTls = "STARTTLS";

// An answer of SMTP or FTP: the code, and the text of each line after it.
struct Reply {
  std::string code;
  std::vector<std::string> lines;

  std::string Text() const { return absl::StrCat(code, " ", lines.back()); }
};

// "250", "250-", "250 ": the code is three digits, the first of them 1 to 5.
bool HasCode(absl::string_view line) {
  return line.size() >= 3 && line[0] >= '1' && line[0] <= '5' && absl::ascii_isdigit(line[1]) &&
         absl::ascii_isdigit(line[2]) && (line.size() == 3 || line[3] == ' ' || line[3] == '-');
}

// RFC 5321 section 4.2.1, RFC 959 section 4.2: lines go on as long as there is a hyphen after the code. FTP's may be
// any text until the one that begins with the code and a space.
absl::StatusOr<Reply> ReadReply(StartTlsDialogue& dialogue, bool any_text_between) {
  Reply reply;
  while (true) {
    ASSIGN_OR_RETURN(const std::string line, dialogue.Line());
    const bool has_code = HasCode(line) && (reply.code.empty() || absl::StartsWith(line, reply.code));
    if (!has_code && (reply.code.empty() || !any_text_between)) return dialogue.NotTheProtocol(line);
    if (!has_code) continue;
    reply.code = line.substr(0, 3);
    reply.lines.push_back(line.substr(std::min<size_t>(4, line.size())));
    if (line.size() == 3 || line[3] == ' ') return reply;
  }
}

// The first words of the lines after the first.
bool Offers(const Reply& reply, absl::string_view keyword) {
  for (size_t i = 1; i < reply.lines.size(); ++i) {
    const absl::string_view line = reply.lines[i];
    if (absl::EqualsIgnoreCase(line.substr(0, line.find(' ')), keyword)) return true;
  }
  return false;
}

// The greeting of SMTP and FTP.
absl::Status AwaitReady(StartTlsDialogue& dialogue, bool any_text_between) {
  dialogue.Begin("greeting");
  ASSIGN_OR_RETURN(Reply greeting, ReadReply(dialogue, any_text_between));
  // FTP's "ready in some minutes", which may be followed by the greeting.
  if (greeting.code == "120") {
    ASSIGN_OR_RETURN(greeting, ReadReply(dialogue, any_text_between));
  }
  return greeting.code == "220" ? absl::OkStatus() : dialogue.Refused("the connection", greeting.Text());
}

bool HasWord(absl::string_view line, absl::string_view word) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" []"), absl::SkipEmpty());
  return std::any_of(words.begin(), words.end(),
                     [&](absl::string_view found) { return absl::EqualsIgnoreCase(found, word); });
}

// Reads until the answer to the command with this tag: what follows the tag. `offers` becomes true when a CAPABILITY
// line names STARTTLS.
absl::StatusOr<std::string> ReadTagged(StartTlsDialogue& dialogue, absl::string_view tag, bool* offers) {
  while (true) {
    ASSIGN_OR_RETURN(const std::string line, dialogue.Line());
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, tag) && absl::ConsumePrefix(&rest, " ")) return std::string(rest);
    if (!absl::StartsWith(line, "* ")) return dialogue.NotTheProtocol(line);
    if (absl::StartsWithIgnoreCase(line, "* BYE")) return dialogue.Refused("the connection", line);
    if (absl::StartsWithIgnoreCase(line, "* CAPABILITY ") && HasWord(line, kStartTls)) *offers = true;
  }
}

// One status line: +OK is true, -ERR false.
absl::StatusOr<bool> ReadPop3Status(StartTlsDialogue& dialogue, std::string* line) {
  ASSIGN_OR_RETURN(*line, dialogue.Line());
  if (absl::StartsWithIgnoreCase(*line, "+OK")) return true;
  if (absl::StartsWithIgnoreCase(*line, "-ERR")) return false;
  return dialogue.NotTheProtocol(*line);
}

}  // namespace

absl::Status StartTlsOverSmtp(StartTlsDialogue& dialogue, bool is_lmtp) {
  RETURN_IF_ERROR(AwaitReady(dialogue, /*any_text_between=*/false));
  const absl::string_view hello = is_lmtp ? "LHLO" : "EHLO";
  dialogue.Begin(hello);
  // An address literal is what a client without a name of its own says (RFC 5321 section 4.1.3).
  RETURN_IF_ERROR(dialogue.Send(absl::StrCat(hello, " [127.0.0.1]\r\n")));
  ASSIGN_OR_RETURN(const Reply offers, ReadReply(dialogue, /*any_text_between=*/false));
  if (offers.code != "250") return dialogue.Refused(hello, offers.Text());
  if (!Offers(offers, kStartTls)) return dialogue.NotOffered(kStartTls);
  dialogue.Begin(kStartTls);
  RETURN_IF_ERROR(dialogue.Send("STARTTLS\r\n"));
  ASSIGN_OR_RETURN(const Reply answer, ReadReply(dialogue, /*any_text_between=*/false));
  if (answer.code != "220") return dialogue.Refused(kStartTls, answer.Text());
  return dialogue.Finish();
}

absl::Status StartTlsOverFtp(StartTlsDialogue& dialogue) {
  RETURN_IF_ERROR(AwaitReady(dialogue, /*any_text_between=*/true));
  dialogue.Begin("AUTH TLS");
  RETURN_IF_ERROR(dialogue.Send("AUTH TLS\r\n"));
  ASSIGN_OR_RETURN(const Reply answer, ReadReply(dialogue, /*any_text_between=*/true));
  if (answer.code == "234") return dialogue.Finish();
  // Not known, not implemented, not for this parameter; not before a login, which is what vsftpd says to all that it
  // does not know.
  const bool is_unknown = answer.code == "500" || answer.code == "502" || answer.code == "504" || answer.code == "530";
  return is_unknown ? dialogue.NotOffered("AUTH TLS", answer.Text()) : dialogue.Refused("AUTH TLS", answer.Text());
}

absl::Status StartTlsOverImap(StartTlsDialogue& dialogue) {
  dialogue.Begin("greeting");
  ASSIGN_OR_RETURN(const std::string greeting, dialogue.Line());
  if (absl::StartsWithIgnoreCase(greeting, "* BYE")) return dialogue.Refused("the connection", greeting);
  if (absl::StartsWithIgnoreCase(greeting, "* PREAUTH")) {
    return dialogue.Refuse("the server takes us as logged in already (PREAUTH), so STARTTLS is not allowed");
  }
  if (!absl::StartsWithIgnoreCase(greeting, "* OK")) return dialogue.NotTheProtocol(greeting);
  dialogue.Begin("CAPABILITY");
  bool offers = false;
  RETURN_IF_ERROR(dialogue.Send("a CAPABILITY\r\n"));
  ASSIGN_OR_RETURN(const std::string capability, ReadTagged(dialogue, "a", &offers));
  if (!absl::StartsWithIgnoreCase(capability, "OK")) return dialogue.Refused("CAPABILITY", capability);
  if (!offers) return dialogue.NotOffered(kStartTls);
  dialogue.Begin(kStartTls);
  RETURN_IF_ERROR(dialogue.Send("b STARTTLS\r\n"));
  ASSIGN_OR_RETURN(const std::string answer, ReadTagged(dialogue, "b", &offers));
  if (!absl::StartsWithIgnoreCase(answer, "OK")) return dialogue.Refused(kStartTls, answer);
  return dialogue.Finish();
}

absl::Status StartTlsOverPop3(StartTlsDialogue& dialogue) {
  dialogue.Begin("greeting");
  std::string line;
  ASSIGN_OR_RETURN(const bool is_ready, ReadPop3Status(dialogue, &line));
  if (!is_ready) return dialogue.Refused("the connection", line);
  dialogue.Begin("CAPA");
  RETURN_IF_ERROR(dialogue.Send("CAPA\r\n"));
  ASSIGN_OR_RETURN(const bool has_list, ReadPop3Status(dialogue, &line));
  // A server without CAPA (RFC 2449) may know STLS all the same.
  bool offers = !has_list;
  while (has_list) {
    ASSIGN_OR_RETURN(line, dialogue.Line());
    if (line == ".") break;
    offers = offers || absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(line), "STLS");
  }
  if (!offers) return dialogue.NotOffered("STLS");
  dialogue.Begin("STLS");
  RETURN_IF_ERROR(dialogue.Send("STLS\r\n"));
  ASSIGN_OR_RETURN(const bool agrees, ReadPop3Status(dialogue, &line));
  if (!agrees) return dialogue.Refused("STLS", line);
  return dialogue.Finish();
}

}  // namespace certcast
