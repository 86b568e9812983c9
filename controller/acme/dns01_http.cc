#include "controller/acme/dns01_http.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/secret/reference.h"
#include "common/secret/secret.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

using nlohmann::json;
using state::v1::PresentedChallenge;

constexpr size_t kShownAnswer = 200;

// Names the record and the service.
absl::Status Refused(const HttpRequest& request, const PresentedChallenge& challenge, const HttpResponse& response) {
  const std::string said(absl::StripAsciiWhitespace(response.body).substr(0, kShownAnswer));
  return Fail(Reason::CHALLENGE_FAILED, absl::StrCat("POST ", request.url, " for ", challenge.fqdn(), " was answered ",
                                                     response.status, said.empty() ? "" : ": ", said));
}

absl::Status Perform(HttpClient& http, HttpRequest& request, const PresentedChallenge& challenge,
                     absl::string_view step) {
  request.method = "POST";
  request.headers.emplace_back("Content-Type", "application/json");
  const absl::StatusOr<HttpResponse> response = http.Perform(request);
  // They hold what lets others write.
  for (auto& [name, value] : request.headers) Wipe(value.data(), value.size());
  absl::Status status;
  if (!response.ok()) {
    status = WithReason(Annotate(response.status(), absl::StrCat("POST ", request.url, " for ", challenge.fqdn())),
                        Reason::CHALLENGE_FAILED);
  } else if (response->status < 200 || response->status > 299) {
    status = Refused(request, challenge, *response);
  }
  return status.ok() ? status : WithStep(status, step);
}

// What acme-dns gave for the domain when it was registered.
struct Registration {
  Secret username;
  Secret password;
  std::string subdomain;
};

absl::StatusOr<Registration> FindRegistration(const SecretReference& accounts, const std::string& domain) {
  absl::StatusOr<Secret> text = ReadSecret(accounts);
  if (!text.ok()) return WithReason(Annotate(text.status(), "acme-dns accounts"), Reason::CHALLENGE_FAILED);
  const json all = json::parse(text->ExposeSecret(), nullptr, /*allow_exceptions=*/false);
  if (!all.is_object()) {
    return Fail(Reason::CHALLENGE_FAILED,
                absl::StrCat("the acme-dns accounts in ", accounts.Describe(), " are not a JSON object by domain"));
  }
  const auto found = all.find(domain);
  if (found == all.end()) {
    return Fail(
        Reason::CHALLENGE_FAILED, absl::StrCat("the acme-dns accounts in ", accounts.Describe(), " have no ", domain),
        absl::StrCat("register it (POST /register at the server), keep the answer there, and make _acme-challenge.",
                     domain, " a CNAME to its fulldomain"));
  }
  const auto text_of = [&](const char* key) {
    return found->is_object() && found->contains(key) && found->at(key).is_string()
               ? found->at(key).get_ref<const std::string&>()
               : std::string();
  };
  Registration registration{Secret(text_of("username")), Secret(text_of("password")), text_of("subdomain")};
  if (registration.username.empty() || registration.password.empty() || registration.subdomain.empty()) {
    return Fail(Reason::CHALLENGE_FAILED, absl::StrCat("the acme-dns account of ", domain, " in ", accounts.Describe(),
                                                       " lacks one of username, password and subdomain"));
  }
  return registration;
}

}  // namespace

absl::Status HttpReqWriter::Present(const PresentedChallenge& challenge) {
  return Post("present", challenge);
}

absl::Status HttpReqWriter::CleanUp(const PresentedChallenge& challenge) {
  return Post("cleanup", challenge);
}

absl::Status HttpReqWriter::Post(absl::string_view verb, const PresentedChallenge& challenge) {
  HttpRequest request;
  request.url = absl::StrCat(config_.endpoint, "/", verb);
  request.timeout = config_.timeout;
  request.ca_file = config_.ca_file;
  const json body = config_.raw ? json{{"domain", challenge.domain()},
                                       {"token", challenge.token()},
                                       {"keyAuth", challenge.key_authorization()}}
                                : json{{"fqdn", challenge.fqdn()}, {"value", challenge.value()}};
  request.body = body.dump();
  if (!config_.username.empty()) {
    const absl::StatusOr<Secret> password = ReadSecret(config_.password);
    if (!password.ok()) {
      return WithReason(Annotate(password.status(), "challenge.httpreq.password"), Reason::CHALLENGE_FAILED);
    }
    std::string pair = absl::StrCat(config_.username, ":", password->ExposeSecret());
    std::string encoded = absl::Base64Escape(pair);
    request.headers.emplace_back("Authorization", absl::StrCat("Basic ", encoded));
    Wipe(pair.data(), pair.size());
    Wipe(encoded.data(), encoded.size());
  }
  return Perform(http_, request, challenge, verb);
}

absl::Status AcmeDnsWriter::Present(const PresentedChallenge& challenge) {
  ASSIGN_OR_RETURN(const Registration registration, FindRegistration(config_.accounts, challenge.domain()));
  HttpRequest request;
  request.url = absl::StrCat(config_.endpoint, "/update");
  request.timeout = config_.timeout;
  request.ca_file = config_.ca_file;
  request.headers.emplace_back("X-Api-User", std::string(registration.username.ExposeSecret()));
  request.headers.emplace_back("X-Api-Key", std::string(registration.password.ExposeSecret()));
  request.body = json{{"subdomain", registration.subdomain}, {"txt", challenge.value()}}.dump();
  return Perform(http_, request, challenge, "present");
}

absl::Status CheckAcmeDnsAccount(const SecretReference& accounts, const std::string& domain) {
  return FindRegistration(accounts, domain).status();
}

}  // namespace certcast::controller
