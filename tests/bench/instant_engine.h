// An engine that says yes: no verification, no files, no reload. So what is measured is everything around it.
#ifndef CERTCAST_TESTS_BENCH_INSTANT_ENGINE_H_
#define CERTCAST_TESTS_BENCH_INSTANT_ENGINE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "node/engine/engine.h"

namespace certcast::bench {

// Thread-safe.
class InstantEngine final : public node::Engine {
 public:
  // Install and Confirm are INSTALLED, any other command is answered by what is in force.
  v1::Report Handle(const v1::Command& command, const OnProgress&) override {
    v1::Report report;
    report.set_command_id(command.id());
    absl::MutexLock lock(&mutex_);
    if (command.has_install()) {
      v1::Manifest manifest;
      if (!manifest.ParseFromString(command.install().bundle().manifest())) {
        report.mutable_refusal()->mutable_failure()->set_reason(v1::Reason::MALFORMED);
        return report;
      }
      in_force_.set_outcome(v1::Outcome::INSTALLED);
      in_force_.set_certificate(manifest.certificate());
      in_force_.set_generation(manifest.generation());
      in_force_.set_generation_in_force(manifest.generation());
      in_force_.set_installed_sha256(manifest.leaf_sha256());
      *report.mutable_install_result() = in_force_;
    } else if (command.has_confirm()) {
      *report.mutable_install_result() = in_force_;
    } else {
      v1::Inventory::Certificate& certificate = *report.mutable_inventory()->add_certificates();
      certificate.set_name(in_force_.certificate());
      certificate.set_generation(in_force_.generation());
      certificate.set_leaf_sha256(in_force_.installed_sha256());
    }
    return report;
  }

  std::optional<absl::Time> ConfirmBy() const override { return std::nullopt; }
  absl::Status RevertIfOverdue() override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<v1::ProbeResult>> TestService(absl::string_view) override {
    return std::vector<v1::ProbeResult>();
  }

 private:
  absl::Mutex mutex_;
  v1::InstallResult in_force_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_INSTANT_ENGINE_H_
