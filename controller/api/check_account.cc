#include "controller/api/check_account.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/secret/reference.h"
#include "common/status/status.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/jose.h"

namespace certcast::controller {
namespace {

// Beyond it dates in certificates and manifests are misjudged.
constexpr absl::Duration kClockTolerance = absl::Minutes(1);
constexpr absl::Duration kTimeout = absl::Seconds(10);

// Passes everything on, and notes what the server says of the time.
class DateListener final : public HttpClient {
 public:
  explicit DateListener(HttpClient& http) : http_(http) {}

  absl::StatusOr<HttpResponse> Perform(const HttpRequest& request) override {
    absl::StatusOr<HttpResponse> response = http_.Perform(request);
    absl::Time date;
    if (response.ok() && absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", response->Header("date"), &date, nullptr)) {
      date_ = date;
    }
    return response;
  }
  const std::optional<absl::Time>& date() const { return date_; }

 private:
  HttpClient& http_;
  std::optional<absl::Time> date_;
};

absl::Status CheckHmacKey(const AccountConfig& account) {
  if (!account.external_account.has_value()) return absl::OkStatus();
  const SecretReference& reference = account.external_account->hmac_key;
  ASSIGN_OR_RETURN(const Secret text, ReadSecret(reference));
  return Annotate(DecodeHmacKey(text).status(), reference.Describe());
}

void CheckClock(absl::Time here, absl::Time there, Findings& findings) {
  const absl::Duration off = here - there;
  if (absl::AbsDuration(off) <= kClockTolerance) return findings.Ok("clock", "agrees with the CA's to a minute");
  findings.Warning("clock",
                   absl::StrCat("is ", absl::FormatDuration(absl::Trunc(off, absl::Seconds(1))),
                                " ahead of the CA's (negative: behind)"),
                   "synchronise it: certificates and manifests have dates");
}

bool IsFrom(const CertificateConfig& certificate, const AccountConfig& account) {
  const std::vector<std::string> accounts = certificate.Accounts();
  return std::find(accounts.begin(), accounts.end(), account.name) != accounts.end();
}

}  // namespace

void CheckAccount(const Config& config, const AccountConfig& account, const Machine& machine, Findings& findings) {
  const std::string name = absl::StrCat("account ", account.name);
  if (const absl::Status key = CheckHmacKey(account); !key.ok()) findings.Problem(name, key);
  DateListener http(*machine.http);
  AcmeClient client(http, *machine.clock,
                    {.directory_url = account.directory, .ca_file = account.ca_file, .directory_timeout = kTimeout});
  const absl::StatusOr<AcmeDirectory> directory = client.GetDirectory();
  if (!directory.ok()) {
    findings.Problem(name, directory.status());
  } else {
    findings.Ok(name, absl::StrCat(account.directory, " answers"));
    if (const absl::Status met = CheckRequirements(*directory, account); !met.ok()) findings.Problem(name, met);
    for (const CertificateConfig& certificate : config.certificates) {
      if (!IsFrom(certificate, account)) continue;
      const absl::Status offered = CheckProfile(*directory, certificate.profile);
      if (!offered.ok()) findings.Problem(absl::StrCat("certificate ", certificate.name), offered);
    }
  }
  if (http.date().has_value()) CheckClock(machine.clock->Now(), *http.date(), findings);
}

}  // namespace certcast::controller
