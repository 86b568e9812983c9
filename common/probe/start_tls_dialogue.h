// What the protocols of start_tls.h have in common: bounded reading, and errors that name the step. Only for them.
#ifndef CERTCAST_COMMON_PROBE_START_TLS_DIALOGUE_H_
#define CERTCAST_COMMON_PROBE_START_TLS_DIALOGUE_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/stream.h"

namespace certcast {

// Thread-compatible.
class StartTlsDialogue {
 public:
  StartTlsDialogue(Stream& stream, absl::string_view protocol, absl::string_view peer)
      : stream_(stream), protocol_(protocol), peer_(peer) {}

  // What errors are about from now on: "greeting", "EHLO". A literal.
  void Begin(absl::string_view step) { step_ = step; }

  absl::Status Send(absl::string_view bytes);
  // The next line, without its end (LF or CRLF).
  absl::StatusOr<std::string> Line();
  // Exactly so many.
  absl::StatusOr<std::string> Bytes(size_t size);
  // What has come and was not taken yet; may be empty.
  std::string Available();
  // Nothing may have come after what was taken.
  absl::Status Finish() const;

  // PROTOCOL: `PEER: PROTOCOL STEP: what`.
  absl::Status Refuse(absl::string_view what, absl::string_view hint = "") const;
  // `the server does not offer WHAT`, `...: SAID`.
  absl::Status NotOffered(absl::string_view what, absl::string_view said = "") const;
  // `the server refused WHAT: "SAID"`.
  absl::Status Refused(absl::string_view what, absl::string_view said) const;
  // `the server answered something that is not PROTOCOL: "GOT"`.
  absl::Status NotTheProtocol(absl::string_view got) const;

 private:
  // At least one byte more.
  absl::Status More();

  Stream& stream_;
  const absl::string_view protocol_;
  const absl::string_view peer_;
  absl::string_view step_ = "greeting";
  // Came, not taken yet.
  std::string bytes_;
  size_t read_ = 0;
};

// One for each family of protocols.
absl::Status StartTlsOverSmtp(StartTlsDialogue& dialogue, bool is_lmtp);
absl::Status StartTlsOverImap(StartTlsDialogue& dialogue);
absl::Status StartTlsOverPop3(StartTlsDialogue& dialogue);
absl::Status StartTlsOverFtp(StartTlsDialogue& dialogue);
absl::Status StartTlsOverXmpp(StartTlsDialogue& dialogue, absl::string_view host);
absl::Status StartTlsOverLdap(StartTlsDialogue& dialogue);
absl::Status StartTlsOverPostgres(StartTlsDialogue& dialogue);
absl::Status StartTlsOverMysql(StartTlsDialogue& dialogue);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_START_TLS_DIALOGUE_H_
