#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/listen/listen_address.h"
#include "common/status/printable.h"
#include "controller/adopt/adopt.h"
#include "controller/adopt/files.h"

namespace certcast::controller {
namespace {

void AppendQuoted(std::string* out, const std::string& text) {
  absl::StrAppend(out, QuotedForYaml(text));
}

std::string ShowAccount(const AdoptedAccount& account) {
  std::string text =
      absl::StrCat("  - name: ", account.name, "\n    directory: ", QuotedForYaml(account.directory), "\n");
  if (!account.email.empty())
    absl::StrAppend(&text, "    contact: [", QuotedForYaml(absl::StrCat("mailto:", account.email)), "]\n");
  absl::StrAppend(&text, "    terms_of_service_agreed: true\n");
  if (!account.key_id.empty()) {
    absl::StrAppend(&text, "    # The HMAC key that belongs to it, in a file of its own, mode 0600.\n",
                    "    external_account: {key_id: ", QuotedForYaml(account.key_id), ", hmac_key: {file: eab.key}}\n");
  }
  return text;
}

std::string ShowCertificate(const AdoptedCertificate& certificate) {
  std::string text = absl::StrCat("  - name: ", certificate.name, "\n    account: ", certificate.account,
                                  "\n    domains: [", absl::StrJoin(certificate.domains, ", ", AppendQuoted),
                                  "]\n    key_type: ", certificate.key_type, "\n");
  if (certificate.reuse_key) absl::StrAppend(&text, "    reuse_key: true\n");
  if (certificate.challenge.empty()) {
    absl::StrAppend(&text, "    # It was done by ",
                    certificate.authenticator.empty() ? "hand" : PrintableLine(certificate.authenticator),
                    ", which is not carried over: choose another way, or write this hook, which is not there yet.\n",
                    "    challenge: {type: dns-01, solver: exec, exec: {command: [/etc/certcast/dns-hook]}}\n");
  } else {
    absl::StrAppend(&text, "    challenge: ", certificate.challenge, "\n");
  }
  return text;
}

}  // namespace

std::string QuotedForYaml(absl::string_view text) {
  return absl::StrCat("\"", absl::StrReplaceAll(PrintableLine(text), {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

bool HasWildcard(const std::vector<std::string>& domains) {
  return std::any_of(domains.begin(), domains.end(),
                     [](const std::string& name) { return absl::StartsWith(name, "*."); });
}

std::string WebrootChallenge(const std::vector<std::string>& domains, const std::string& root) {
  if (HasWildcard(domains) || !absl::StartsWith(root, "/") || PrintableLine(root) != root) return "";
  return absl::StrCat("{type: http-01, solver: webroot, webroot: {path: ", QuotedForYaml(root), "}}");
}

std::string ListenChallenge(const std::vector<std::string>& domains, const std::string& host, const std::string& port) {
  const std::string bare = host.empty() ? "::" : host;
  const bool v6 = absl::StrContains(bare, ':');
  const std::string address = absl::StrCat(v6 ? "[" : "", bare, v6 ? "]:" : ":", port.empty() ? "80" : port);
  if (HasWildcard(domains) || !ParseListenAddress(address).ok()) return "";
  return absl::StrCat("{type: http-01, solver: listen, listen: {address: ", QuotedForYaml(address), "}}");
}

std::string NewConfigFor(const Adoption& adoption, const std::string& source, const std::string& state) {
  return absl::StrCat(
      "# Goes on with what ", PrintableLine(source), " has.\nstate: ", state, "\n",
      "# Relative to this file. `certcast init` makes it; keep a copy elsewhere.\n", "master_key: {file: master.key}\n",
      ConfigFor(adoption), "# Where they go; `nodes: [NAME...]` or `nodes: all` at each certificate then names them.\n",
      "# nodes:\n", "#   - {name: web-01, address: \"grpc://10.0.0.1:7444\", verify: [\"10.0.0.1:443\"]}\n");
}

std::string ConfigFor(const Adoption& adoption) {
  std::string text;
  if (!adoption.accounts.empty()) absl::StrAppend(&text, "accounts:\n");
  for (const AdoptedAccount& account : adoption.accounts) absl::StrAppend(&text, ShowAccount(account));
  if (!adoption.certificates.empty()) absl::StrAppend(&text, "certificates:\n");
  for (const AdoptedCertificate& certificate : adoption.certificates) {
    absl::StrAppend(&text, ShowCertificate(certificate));
  }
  return text;
}

}  // namespace certcast::controller
