#include "node/frontend/server_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/identity/names.h"
#include "common/secret/secret.h"

namespace certcast::node {
namespace {

using OnRefused = std::function<void(absl::string_view)>;

// Asked once OpenSSL has found that the peer's certificate is of the fleet's CA.
class ControllerVerifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  ControllerVerifier(std::string fleet_id, OnRefused on_refused)
      : fleet_id_(std::move(fleet_id)), on_refused_(std::move(on_refused)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    std::vector<std::string> names;
    for (const grpc::string_ref& name : request->dns_names()) names.emplace_back(name.data(), name.size());
    for (const grpc::string_ref& name : request->uri_names()) names.emplace_back(name.data(), name.size());
    *status = grpc::Status::OK;
    if (!IsController(fleet_id_, names)) {
      const std::string refusal = absl::StrCat("a peer that is ", names.empty() ? "nobody" : absl::StrJoin(names, ", "),
                                               ", not the controller of fleet ", fleet_id_);
      on_refused_(refusal);
      *status = grpc::Status(grpc::StatusCode::UNAUTHENTICATED, refusal);
    }
    return true;  // done
  }

  // Nothing is ever under way.
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::string fleet_id_;
  const OnRefused on_refused_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> ForControllerOnly(const Identity& identity, OnRefused on_refused) {
  std::vector<grpc::experimental::IdentityKeyCertPair> own = {
      {std::string(identity.private_key_pem.ExposeSecret()), identity.file.certificate.ToPem()}};
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::StaticDataCertificateProvider>(identity.file.fleet_ca.ToPem(), own));
  Wipe(own[0].private_key.data(), own[0].private_key.size());
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.set_certificate_verifier(grpc::experimental::ExternalCertificateVerifier::Create<ControllerVerifier>(
      identity.file.fleet_id, std::move(on_refused)));
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace certcast::node
