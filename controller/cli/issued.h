// How obtained certificates are shown; apply, issue and import have it in common.
#ifndef CERTCAST_CONTROLLER_CLI_ISSUED_H_
#define CERTCAST_CONTROLLER_CLI_ISSUED_H_

#include "certcast/v1/api.pb.h"
#include "controller/cli/session.h"
#include "google/protobuf/repeated_field.h"

namespace certcast::controller::cli {

using IssuedCertificates = google::protobuf::RepeatedPtrField<v1::ApplyResponse::Certificate>;

// A line each: `wildcard: generation 3, expires ..., SHA-256 ... (issued now: ...)`. `future` for --dry-run.
void PrintCertificates(std::ostream& out, const IssuedCertificates& certificates, bool future);
// Prints why some could not be obtained; the exit code for it, kDone when all were.
int ReportFailures(std::ostream& err, const IssuedCertificates& certificates);
// One was never obtained or imported, so no node can have it.
bool AnyMissing(const IssuedCertificates& certificates);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_ISSUED_H_
