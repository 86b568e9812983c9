#include "controller/acme/http01_local.h"

#include "absl/strings/str_cat.h"
#include "common/http_challenge/token.h"
#include "common/listen/listen_address.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

absl::Status Failed(absl::Status status, absl::string_view step) {
  return status.ok() ? status : WithStep(WithReason(std::move(status), Reason::CHALLENGE_FAILED), step);
}

}  // namespace

std::string Http01Solver::Place(const Challenge& challenge) const {
  return absl::StrCat("http://", challenge.domain(), kChallengePath, challenge.token());
}

absl::Status Http01Webroot::Present(const Challenge& challenge) {
  return Failed(webroot_.Put(challenge.token(), challenge.key_authorization()), "present");
}

absl::Status Http01Webroot::CleanUp(const Challenge& challenge) {
  return Failed(webroot_.Remove(challenge.token()), "cleanup");
}

absl::Status Http01Listener::Present(const Challenge& challenge) {
  if (listener_ == nullptr) {
    const auto address = ParseListenAddress(address_);
    if (!address.ok()) return Failed(address.status(), "present");
    auto listener = ChallengeListener::Start(*address);
    if (!listener.ok()) return Failed(listener.status(), "present");
    listener_ = *std::move(listener);
  }
  return Failed(listener_->Put(challenge.token(), challenge.key_authorization()), "present");
}

absl::Status Http01Listener::CleanUp(const Challenge& challenge) {
  if (listener_ == nullptr) return absl::OkStatus();
  listener_->Remove(challenge.token());
  if (listener_->empty()) listener_.reset();
  return absl::OkStatus();
}

}  // namespace certcast::controller
