// Secrets whose every form is known, and a look for them where they may not be.
#ifndef CERTCAST_TESTS_TESTING_CANARY_H_
#define CERTCAST_TESTS_TESTING_CANARY_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace certcast::testing {

struct Canary {
  // For messages: "the node's key".
  std::string name;
  // Any of these gives it away.
  std::vector<std::string> forms;
  // The files that are declared to hold it, as fnmatch patterns on the path below the folder; `*` matches a slash too.
  std::vector<std::string> holders;
};

// A password or any other bytes: as they are, as hex, and as base64 and base64url wherever they stand in what was
// encoded. At least 8 bytes.
Canary BytesCanary(const std::string& name, absl::string_view bytes, std::vector<std::string> holders);

// A private key in PEM: its lines, the base64 of its text, its DER (PKCS#8, and what is in it), and the secret number
// itself (the private exponent and the first prime of RSA), each in the forms of BytesCanary. What goes wrong ends the
// test program.
Canary KeyCanary(const std::string& name, absl::string_view pem, std::vector<std::string> holders);

// The first of the canary's forms in `text`, shortened; empty when there is none.
std::string FindIn(absl::string_view text, const Canary& canary);

// Every regular file below `folder` in which a canary is that is not declared to hold it, a line each.
std::vector<std::string> FindCanaries(const std::string& folder, const std::vector<Canary>& canaries);

// Whether a file that is declared to hold it does, in any of its forms: a canary that nobody holds shows nothing.
bool IsHeld(const std::string& folder, const Canary& canary);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_CANARY_H_
