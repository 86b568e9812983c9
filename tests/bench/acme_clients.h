// ACME clients, each told to obtain the same certificate from the same CA: one name, P-256, http-01 by a folder that a
// web server shows, with an account and a home of its own.
#ifndef CERTCAST_TESTS_BENCH_ACME_CLIENTS_H_
#define CERTCAST_TESTS_BENCH_ACME_CLIENTS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/process_tree.h"
#include "tests/testing/pebble.h"
#include "tests/testing/program.h"

namespace certcast::bench {

// Pebble, and the web server that it looks at.
class AcmeSite {
 public:
  // Everything is below `folder`, an absolute path that is there.
  static absl::StatusOr<std::unique_ptr<AcmeSite>> Start(const std::string& folder);

  const std::string& folder() const { return folder_; }
  const testing::Pebble& pebble() const { return *pebble_; }
  std::string webroot() const { return folder_ + "/web"; }
  // By Pebble's own log, since its start.
  int Requests() const;
  int Issued() const;

 private:
  explicit AcmeSite(std::string folder) : folder_(std::move(folder)) {}
  int CountInLog(const std::string& text) const;

  const std::string folder_;
  std::unique_ptr<testing::Pebble> pebble_;
  std::unique_ptr<testing::Program> web_server_;
};

struct AcmeClient {
  std::string name;
  // What PATH must have, and the Debian package that brings it; empty: it is ours.
  std::string program;
  std::string package;
  // Writes what it reads into `home`, an empty folder. Returns what is run there to get the certificate, account and
  // all.
  std::function<absl::StatusOr<std::vector<MeasuredCommand>>(const AcmeSite& site, const std::string& home)> prepare;
};

// Ours come first: `certcast`, whose fleet is there already, and `certcast with init`, which makes that as well. Then
// `certbot`, `lego`, `uacme`, `dehydrated`.
std::vector<AcmeClient> AcmeClients();

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_ACME_CLIENTS_H_
