// XMPP (RFC 6120), as far as section 5 needs it: tags are read one by one, no XML is parsed.
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/probe/start_tls_dialogue.h"
#include "common/status/status.h"

namespace certcast {
namespace {

bool IsSpace(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c));
}

// The next tag, from its '<' to its '>'; a quoted '>' does not end it. White space before it keeps connections alive
// (section 4.6.1); other text may stand before it inside of elements alone.
absl::StatusOr<std::string> ReadTag(StartTlsDialogue& dialogue, bool may_follow_text = false) {
  std::string tag;
  char quote = 0;
  while (true) {
    ASSIGN_OR_RETURN(const std::string byte, dialogue.Bytes(1));
    const char c = byte[0];
    if (tag.empty() && c != '<') {
      if (IsSpace(c) || may_follow_text) continue;
      return dialogue.NotTheProtocol(absl::StrCat(byte, dialogue.Available()));
    }
    tag += c;
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '>') {
      return tag;
    }
  }
}

// Whether it is `<name ...>` or `<name/>`; with "/name", `</name>`.
bool IsTag(absl::string_view tag, absl::string_view name) {
  if (!absl::ConsumePrefix(&tag, "<") || !absl::ConsumePrefix(&tag, name)) return false;
  return tag[0] == '>' || tag[0] == '/' || IsSpace(tag[0]);
}

bool IsEmptyElement(absl::string_view tag) {
  return absl::EndsWith(tag, "/>");
}

// From the stream's beginning to <stream:features>.
absl::StatusOr<std::string> ReadUntilFeatures(StartTlsDialogue& dialogue) {
  while (true) {
    ASSIGN_OR_RETURN(std::string tag, ReadTag(dialogue));
    if (IsTag(tag, "stream:features")) return tag;
    if (IsTag(tag, "stream:error")) {
      // Then perhaps a text for people (section 4.9.2), which mostly has come with it.
      ASSIGN_OR_RETURN(const std::string why, ReadTag(dialogue));
      return dialogue.Refused("the stream",
                              absl::StrReplaceAll(absl::StrCat(why, dialogue.Available()),
                                                  {{" xmlns='urn:ietf:params:xml:ns:xmpp-streams'", ""}}));
    }
    if (!absl::StartsWith(tag, "<?xml") && !IsTag(tag, "stream:stream")) return dialogue.NotTheProtocol(tag);
  }
}

absl::StatusOr<bool> FeaturesOfferTls(StartTlsDialogue& dialogue) {
  ASSIGN_OR_RETURN(std::string tag, ReadUntilFeatures(dialogue));
  bool offers = false;
  if (IsEmptyElement(tag)) return offers;
  while (!IsTag(tag, "/stream:features")) {
    ASSIGN_OR_RETURN(tag, ReadTag(dialogue, /*may_follow_text=*/true));
    offers = offers || (IsTag(tag, "starttls") && absl::StrContains(tag, "urn:ietf:params:xml:ns:xmpp-tls"));
  }
  return offers;
}

}  // namespace

absl::Status StartTlsOverXmpp(StartTlsDialogue& dialogue, absl::string_view host) {
  dialogue.Begin("stream");
  RETURN_IF_ERROR(dialogue.Send(absl::StrCat("<?xml version='1.0'?><stream:stream to='", host,
                                             "' version='1.0' xml:lang='en' xmlns='jabber:client' "
                                             "xmlns:stream='http://etherx.jabber.org/streams'>")));
  ASSIGN_OR_RETURN(const bool offers, FeaturesOfferTls(dialogue));
  if (!offers) return dialogue.NotOffered("starttls");
  dialogue.Begin("starttls");
  RETURN_IF_ERROR(dialogue.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
  ASSIGN_OR_RETURN(const std::string answer, ReadTag(dialogue));
  if (!IsTag(answer, "proceed")) return dialogue.Refused("starttls", answer);
  if (!IsEmptyElement(answer)) {
    ASSIGN_OR_RETURN(const std::string end, ReadTag(dialogue));
    if (!IsTag(end, "/proceed")) return dialogue.NotTheProtocol(end);
  }
  return dialogue.Finish();
}

}  // namespace certcast
