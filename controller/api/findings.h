// What `doctor` found, a line each.
#ifndef CERTCAST_CONTROLLER_API_FINDINGS_H_
#define CERTCAST_CONTROLLER_API_FINDINGS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "certcast/v1/api.pb.h"
#include "common/status/status.h"

namespace certcast::controller {

// Thread-compatible.
class Findings {
 public:
  void Ok(const std::string& name, const std::string& detail) { Add(v1::DoctorResponse::Check::OK, name, detail, ""); }
  void Warning(const std::string& name, const std::string& detail, const std::string& hint) {
    Add(v1::DoctorResponse::Check::WARNING, name, detail, hint);
  }
  void Problem(const std::string& name, const std::string& detail, const std::string& hint) {
    Add(v1::DoctorResponse::Check::PROBLEM, name, detail, hint);
  }
  void Problem(const std::string& name, const absl::Status& status) {
    const v1::Failure failure = FailureOf(status);
    const std::string reason =
        failure.reason() == Reason::REASON_UNSPECIFIED ? "" : absl::StrCat(ReasonName(failure.reason()), ": ");
    Problem(name, absl::StrCat(reason, failure.detail()), failure.hint());
  }
  v1::DoctorResponse Take() { return std::move(response_); }

 private:
  using Check = v1::DoctorResponse::Check;

  void Add(Check::Result result, const std::string& name, const std::string& detail, const std::string& hint) {
    Check& check = *response_.add_checks();
    check.set_name(name);
    check.set_result(result);
    check.set_detail(detail);
    check.set_hint(hint);
  }
  v1::DoctorResponse response_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_FINDINGS_H_
