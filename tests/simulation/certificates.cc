#include "tests/simulation/certificates.h"

#include <cstdint>
#include <map>
#include <utility>

#include "certcast/v1/bundle.pb.h"
#include "node/engine/simulated_node.h"

namespace certcast::simulation {
namespace {

constexpr int kMostGenerations = 4;
constexpr absl::string_view kNames[kMostCertificates] = {"wildcard", "mail"};

// SimulatedNode knows them by one number.
uint64_t NumberOf(int certificate, int generation) {
  return static_cast<uint64_t>(certificate * 100 + generation);
}

}  // namespace

std::string NameOfCertificate(int certificate) {
  return std::string(kNames[certificate]);
}

int CertificateCalled(absl::string_view name) {
  int found = 0;
  while (found < kMostCertificates && kNames[found] != name) ++found;
  return found;
}

int CertificateIn(const v1::Command& command) {
  if (command.has_confirm()) return CertificateCalled(command.confirm().certificate());
  if (command.has_revert()) return CertificateCalled(command.revert().certificate());
  v1::Manifest manifest;
  manifest.ParseFromString(command.install().bundle().manifest());
  return CertificateCalled(manifest.certificate());
}

const testing::IssuedCertificate& IssuedFor(int certificate, int generation) {
  return node::IssuedFor(NumberOf(certificate, generation));
}

int GenerationOf(int certificate, const std::string& leaf_sha256) {
  if (leaf_sha256 == node::kMixed) return kMixedFiles;
  if (leaf_sha256 == node::kNothing || leaf_sha256.empty()) return kNoFiles;
  static const auto* const known = [] {
    auto* made = new std::map<std::string, std::pair<int, int>>;
    for (int of = 0; of < kMostCertificates; ++of) {
      for (int i = 0; i < kMostGenerations; ++i) (*made)[node::LeafOf(NumberOf(of, i))] = {of, i};
    }
    return made;
  }();
  const auto found = known->find(leaf_sha256);
  return found == known->end() || found->second.first != certificate ? kUnknownFiles : found->second.second;
}

}  // namespace certcast::simulation
