// http-01 (RFC 8555 section 8.3) on the controller's own machine.
#ifndef CERTCAST_CONTROLLER_ACME_HTTP01_LOCAL_H_
#define CERTCAST_CONTROLLER_ACME_HTTP01_LOCAL_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"
#include "common/http_challenge/listener.h"
#include "common/http_challenge/webroot.h"
#include "controller/acme/challenge_solver.h"

namespace certcast::controller {

// What all kinds of http-01 have in common. Whether a CA will find its way here can't be seen from here, so nothing is
// awaited.
class Http01Solver : public ChallengeSolver {
 public:
  absl::string_view type() const override { return "http-01"; }
  absl::string_view noun() const override { return "HTTP token"; }
  std::string Place(const Challenge& challenge) const override;
  bool looks() const override { return false; }
  absl::Status Prepare(Challenge&) override { return absl::OkStatus(); }
  absl::Status AwaitVisible(const std::vector<Challenge>&, const std::function<void(absl::string_view)>&) override {
    return absl::OkStatus();
  }
};

// `webroot`: files for a web server that is there.
class Http01Webroot final : public Http01Solver {
 public:
  // `files` must outlive this.
  Http01Webroot(FileSystem& files, std::string root) : webroot_(files, std::move(root)) {}

  absl::Status Present(const Challenge& challenge) override;
  absl::Status CleanUp(const Challenge& challenge) override;

 private:
  ChallengeWebroot webroot_;
};

// `listen`: answered by this process, while there is something to answer.
class Http01Listener final : public Http01Solver {
 public:
  // host:port; the host is digits.
  explicit Http01Listener(std::string address) : address_(std::move(address)) {}

  bool outlives_process() const override { return false; }
  absl::Status Present(const Challenge& challenge) override;
  absl::Status CleanUp(const Challenge& challenge) override;

 private:
  const std::string address_;
  std::unique_ptr<ChallengeListener> listener_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_HTTP01_LOCAL_H_
