#include "controller/acme/acme_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"
#include "controller/acme/json_member.h"
#include "controller/acme/links.h"
#include "controller/acme/retry_after.h"

namespace certcast::controller {
namespace {

constexpr int kTransientTries = 3;
// For what is only read, and without which things go on.
constexpr absl::Duration kReadTimeout = absl::Seconds(10);
// A server that is back within this time is waited for.
constexpr absl::Duration kShortWait = absl::Seconds(10);

AcmeDirectory ParseDirectory(const nlohmann::json& body) {
  AcmeDirectory directory{.new_nonce = TextMember(body, "newNonce"),
                          .new_account = TextMember(body, "newAccount"),
                          .new_order = TextMember(body, "newOrder"),
                          .revoke_cert = TextMember(body, "revokeCert"),
                          .key_change = TextMember(body, "keyChange"),
                          .renewal_info = TextMember(body, "renewalInfo")};
  const auto meta = body.find("meta");
  if (meta == body.end() || !meta->is_object()) return directory;
  directory.terms_of_service = TextMember(*meta, "termsOfService");
  const auto external = meta->find("externalAccountRequired");
  directory.external_account_required = external != meta->end() && external->is_boolean() && external->get<bool>();
  const auto profiles = meta->find("profiles");
  if (profiles == meta->end() || !profiles->is_object()) return directory;
  for (const auto& [name, description] : profiles->items()) {
    directory.profiles[name] = description.is_string() ? description.get<std::string>() : "";
  }
  return directory;
}

// What it names is kept and asked again: nothing but a URL will do.
std::string LocationOf(const HttpResponse& response) {
  const absl::string_view url = response.Header("location");
  return IsPlainUrl(url) ? std::string(url) : "";
}

AcmeAnswer ReadAnswer(HttpResponse response, absl::Time now) {
  AcmeAnswer answer{.status = response.status};
  answer.location = LocationOf(response);
  answer.alternates = AlternatesOf(response);
  answer.retry_at = ParseRetryAfter(response.Header("retry-after"), now);
  if (response.status < 200 || response.status > 299) {
    answer.problem = ParseProblemBody(response.status, response.body);
  }
  answer.body = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (answer.body.is_discarded()) answer.body = nullptr;
  answer.text = std::move(response.body);
  return answer;
}

}  // namespace

absl::Status CheckProfile(const AcmeDirectory& directory, const std::string& profile) {
  if (profile.empty() || directory.profiles.contains(profile)) return absl::OkStatus();
  std::vector<std::string> offered;
  for (const auto& [name, description] : directory.profiles) offered.push_back(name);
  return FailInput(absl::StrCat("the CA has no profile `", profile, "`"),
                   offered.empty() ? "it offers none: remove certificates[].profile"
                                   : absl::StrCat("it offers: ", absl::StrJoin(offered, ", ")));
}

absl::Status AcmeAnswer::Check(absl::string_view doing) const {
  if (!problem) return absl::OkStatus();
  return ProblemStatus(*problem, status, retry_at, doing);
}

bool IsTransient(const absl::StatusOr<AcmeAnswer>& answer) {
  if (answer.ok()) return answer->status >= 500;
  const Reason::Code reason = ReasonOf(answer.status());
  return reason == Reason::NO_ROUTE || reason == Reason::TIMED_OUT || reason == Reason::LINK_LOST;
}

absl::StatusOr<AcmeDirectory> AcmeClient::GetDirectory() {
  if (directory_) return *directory_;
  ASSIGN_OR_RETURN(const AcmeAnswer answer, WithRetries([this] {
                     return Send({.method = "GET", .url = server_.directory_url, .timeout = server_.directory_timeout});
                   }));
  const std::string doing = absl::StrCat("reading the ACME directory ", server_.directory_url);
  RETURN_IF_ERROR(WithHint(answer.Check(doing), "check accounts[].directory, with its query string"));
  AcmeDirectory directory = answer.body.is_object() ? ParseDirectory(answer.body) : AcmeDirectory();
  if (directory.new_nonce.empty() || directory.new_account.empty() || directory.new_order.empty()) {
    return Fail(Reason::PROTOCOL, absl::StrCat(doing, ": it is none (newNonce, newAccount or newOrder is missing)"),
                "check accounts[].directory: it must be the URL of the directory itself");
  }
  directory_ = std::move(directory);
  return *directory_;
}

absl::StatusOr<AcmeAnswer> AcmeClient::Get(const std::string& url) {
  return WithRetries([&] { return Send({.method = "GET", .url = url, .timeout = kReadTimeout}); });
}

absl::StatusOr<AcmeAnswer> AcmeClient::Post(const AcmeSigner& signer, const std::string& url,
                                            const nlohmann::ordered_json& payload, absl::Duration timeout) {
  const std::string text = payload.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return PostSigned(signer, text, {.method = "POST", .url = url, .timeout = timeout});
}

absl::StatusOr<AcmeAnswer> AcmeClient::Respond(const AcmeSigner& signer, const std::string& challenge_url) {
  return WithRetries([&] { return Post(signer, challenge_url, nlohmann::ordered_json::object()); });
}

absl::StatusOr<AcmeAnswer> AcmeClient::Revoke(const AcmeSigner& signer, const std::string& url,
                                              const nlohmann::ordered_json& payload) {
  return WithRetries([&] { return Post(signer, url, payload); });
}

absl::StatusOr<AcmeAnswer> AcmeClient::Fetch(const AcmeSigner& signer, const std::string& url,
                                             const std::string& accept) {
  HttpRequest request{.method = "POST", .url = url};
  if (!accept.empty()) request.headers.emplace_back("Accept", accept);
  return WithRetries([&] { return PostSigned(signer, "", request); });
}

absl::StatusOr<AcmeAnswer> AcmeClient::PostSigned(const AcmeSigner& signer, absl::string_view payload,
                                                  HttpRequest request) {
  request.headers.emplace_back("Content-Type", "application/jose+json");
  for (int tries = 0; tries < kMaxNonceTries; ++tries) {
    ASSIGN_OR_RETURN(const std::string nonce, TakeNonce());
    nlohmann::ordered_json header = {{"nonce", nonce}, {"url", request.url}};
    if (signer.account_url.empty()) {
      ASSIGN_OR_RETURN(header["jwk"], PublicJwk(signer.key));
    } else {
      header["kid"] = signer.account_url;
    }
    ASSIGN_OR_RETURN(request.body, SignJws(signer.key, header, payload));
    ASSIGN_OR_RETURN(AcmeAnswer answer, Send(request));
    if (!answer.Is("badNonce")) return answer;
  }
  return Fail(Reason::PROTOCOL,
              absl::StrCat(request.url, ": the CA refused ", kMaxNonceTries, " nonces of its own in a row"),
              "the CA, or a cache between it and us, hands out stale Replay-Nonce headers");
}

absl::StatusOr<std::string> AcmeClient::TakeNonce() {
  ASSIGN_OR_RETURN(const AcmeDirectory directory, GetDirectory());
  if (nonce_.empty()) {
    ASSIGN_OR_RETURN(const AcmeAnswer answer,
                     WithRetries([&] { return Send({.method = "HEAD", .url = directory.new_nonce}); }));
    RETURN_IF_ERROR(answer.Check("asking for a nonce"));
  }
  if (nonce_.empty()) return Fail(Reason::PROTOCOL, absl::StrCat(directory.new_nonce, " gave no Replay-Nonce header"));
  return std::exchange(nonce_, "");
}

absl::StatusOr<AcmeAnswer> AcmeClient::Send(HttpRequest request) {
  request.ca_file = server_.ca_file;
  ASSIGN_OR_RETURN(HttpResponse response, http_.Perform(request));
  const absl::string_view nonce = response.Header("replay-nonce");
  // RFC 8555 section 6.5.1: base64url, else it must be ignored.
  if (IsBase64Url(nonce) && nonce.size() <= 1024) nonce_ = std::string(nonce);
  return ReadAnswer(std::move(response), clock_.Now());
}

absl::StatusOr<AcmeAnswer> AcmeClient::WithRetries(const std::function<absl::StatusOr<AcmeAnswer>()>& attempt) {
  absl::Duration wait = absl::Milliseconds(500);
  for (int tries = 1;; ++tries, wait *= 2) {
    absl::StatusOr<AcmeAnswer> answer = attempt();
    if (!IsTransient(answer) || tries == kTransientTries) return answer;
    absl::Duration asked = absl::ZeroDuration();
    if (answer.ok() && answer->retry_at) asked = *answer->retry_at - clock_.Now();
    if (asked > kShortWait) return answer;
    clock_.Sleep(std::max(wait, asked));
  }
}

}  // namespace certcast::controller
