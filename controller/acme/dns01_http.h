// Services that write TXT records when they are asked over HTTPS.
#ifndef CERTCAST_CONTROLLER_ACME_DNS01_HTTP_H_
#define CERTCAST_CONTROLLER_ACME_DNS01_HTTP_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "common/secret/reference.h"
#include "controller/acme/http_client.h"
#include "controller/acme/txt_writer.h"
#include "controller/config/challenge.h"

namespace certcast::controller {

// lego's httpreq: POST ENDPOINT/present and ENDPOINT/cleanup with {"fqdn", "value"}, or with {"domain", "token",
// "keyAuth"} where it is `raw`; basic authorization (RFC 7617); any 2xx is a success. An exchange that got lost is not
// repeated: the next order does.
class HttpReqWriter final : public TxtWriter {
 public:
  // `http` must outlive this.
  HttpReqWriter(HttpClient& http, HttpReqService config) : http_(http), config_(std::move(config)) {}

  absl::Status Present(const state::v1::PresentedChallenge& challenge) override;
  absl::Status CleanUp(const state::v1::PresentedChallenge& challenge) override;

 private:
  absl::Status Post(absl::string_view verb, const state::v1::PresentedChallenge& challenge);

  HttpClient& http_;
  const HttpReqService config_;
};

// acme-dns: POST ENDPOINT/update. Its registrations are read anew for each record. The server keeps the last two values
// of a registration, which is what an apex and its wildcard need, and can't remove any: CleanUp does nothing.
class AcmeDnsWriter final : public TxtWriter {
 public:
  // `http` must outlive this.
  AcmeDnsWriter(HttpClient& http, AcmeDnsService config) : http_(http), config_(std::move(config)) {}

  absl::Status Present(const state::v1::PresentedChallenge& challenge) override;
  absl::Status CleanUp(const state::v1::PresentedChallenge&) override { return absl::OkStatus(); }

 private:
  HttpClient& http_;
  const AcmeDnsService config_;
};

// Whether `accounts` has a whole registration for the domain, as AcmeDnsWriter wants it: CHALLENGE_FAILED otherwise.
absl::Status CheckAcmeDnsAccount(const SecretReference& accounts, const std::string& domain);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS01_HTTP_H_
