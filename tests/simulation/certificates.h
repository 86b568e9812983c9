// The certificates of a run and their generations, as files and handshakes show them.
#ifndef CERTCAST_TESTS_SIMULATION_CERTIFICATES_H_
#define CERTCAST_TESTS_SIMULATION_CERTIFICATES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "certcast/v1/link.pb.h"
#include "tests/testing/test_ca.h"

namespace certcast::simulation {

inline constexpr int kMostCertificates = 2;

// "wildcard", of nginx and haproxy; "mail", of dovecot.
std::string NameOfCertificate(int certificate);
// kMostCertificates for none of these.
int CertificateCalled(absl::string_view name);
// That a command is about: of Install, Confirm and Revert.
int CertificateIn(const v1::Command& command);

// Generation 0 is what was there before certcast came. The same ones in all runs.
const testing::IssuedCertificate& IssuedFor(int certificate, int generation);

inline constexpr int kNoFiles = -1;
inline constexpr int kMixedFiles = -2;
// One that is not known, or another certificate's.
inline constexpr int kUnknownFiles = -3;
// Of a fingerprint, or of what SimulatedNode says of a service's files.
int GenerationOf(int certificate, const std::string& leaf_sha256);

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_CERTIFICATES_H_
