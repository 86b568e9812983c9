// Debian 12's servers that certcast has presets for: how each is set up as a second instance beside the packaged one,
// and what is particular about it.
#ifndef CERTCAST_TESTS_TESTING_DEBIAN_SERVER_H_
#define CERTCAST_TESTS_TESTING_DEBIAN_SERVER_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/probe/start_tls_protocol.h"
#include "tests/testing/daemon.h"

namespace certcast::testing {

// Where one server is set up.
struct ServerPlace {
  // All may pass it.
  std::string home;
  int port = 0;
  // Without: it is configured to know no certificate.
  bool with_tls = true;

  std::string address() const;
  // In folders of HOME: what the server reads.
  std::string fullchain() const { return home + "/tls/fullchain.pem"; }
  std::string key() const { return home + "/tls/privkey.pem"; }
  std::string combined() const { return home + "/tls/combined.pem"; }
};

// What is said over one connection, and what is in the answers.
struct Conversation {
  std::string before_reload;
  std::string answer_before;
  std::string after_reload;
  std::string answer_after;
};

// A web server's that keeps connections.
inline const Conversation kRequestAfterRequest = {.before_reload = "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
                                                  .answer_before = "HTTP/1.1 200 OK",
                                                  .after_reload = "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
                                                  .answer_after = "HTTP/1.1 200 OK"};

// How it shows that it can't use its files. kNodeYamlFails: no file of another content can be declared in the first
// place.
enum class Refusal { kNodeYamlFails, kCheckFails, kReloadFails, kIsSeen };

struct DebianServer {
  // Of the service; of its preset too, where there is no other.
  std::string name;
  DaemonPlan (*plan)(const ServerPlace& place);
  // Its check and reload in node.yaml: as the preset has them, but of a second instance. Lines without indentation.
  std::string (*commands)(const ServerPlace& place);
  // "none": it has none.
  std::string preset;
  StartTlsProtocol starttls = StartTlsProtocol::kNone;
  // Who owns the private key; empty: root.
  std::string key_owner;
  // One file with key and chain.
  bool reads_combined = false;
  // What `systemctl reload` sends to its main process; 0: nothing.
  int unit_reload_signal = 0;
  // Whether `systemctl restart` waits until it is up (Type=notify).
  bool unit_notifies = false;
  Refusal refusal = Refusal::kIsSeen;
  // Of a connection that is kept while the server takes a new certificate. Empty: it does not keep any.
  Conversation conversation;
  // Of a server that is not told, since it reads its files by itself: makes it go on with what they hold now.
  absl::Status (*stop_reading)(const ServerPlace& place) = nullptr;
  // What a probe says of it where it is configured without TLS. Of those with `starttls`.
  std::string without_tls;
};

// For GoogleTest.
inline void PrintTo(const DebianServer& server, std::ostream* out) {
  *out << server.name;
}

const std::vector<DebianServer>& DebianServers();

// --- By kind, each in a file of its own.
std::vector<DebianServer> WebServers();
std::vector<DebianServer> ServersThatWatch();
std::vector<DebianServer> MailServers();
std::vector<DebianServer> DataServers();
std::vector<DebianServer> OtherServers();

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_DEBIAN_SERVER_H_
