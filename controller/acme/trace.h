// The transcript of what is said to CAs and what they answer, for people who look for a fault, without secrets.
#ifndef CERTCAST_CONTROLLER_ACME_TRACE_H_
#define CERTCAST_CONTROLLER_ACME_TRACE_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/file/descriptor.h"
#include "controller/acme/http_client.h"

namespace certcast::controller {

// One exchange as text. Of a signed request (RFC 8555 section 6.2) header and payload are shown decoded, and never its
// signature, nor that of an external account's binding. Of other requests with a body (DNS services), and of what is
// answered to them, nothing is shown but their size. Headers that may hold a login are left out, and so is a login in a
// URL. Of answers the first 64 KiB are shown.
std::string DescribeExchange(const HttpRequest& request, const absl::StatusOr<HttpResponse>& response, absl::Time at,
                             absl::Duration took);

// Passes everything on to `http`, and adds it to a file. Thread-safe.
class TracingHttpClient final : public HttpClient {
 public:
  // The file is made with mode 0600; one that is there is added to, unless others than its owner may read it
  // (PERMISSION_DENIED). FailInput where it can't be opened. `clock` must outlive this.
  static absl::StatusOr<std::unique_ptr<TracingHttpClient>> Open(const std::string& path,
                                                                 std::unique_ptr<HttpClient> http, Clock& clock);

  // That the transcript can't be written is no reason not to go on: it then ends with what was written.
  absl::StatusOr<HttpResponse> Perform(const HttpRequest& request) override;

  // Why it ends there; OK while all of it was written.
  absl::Status written() const;

 private:
  TracingHttpClient(std::string path, Descriptor file, std::unique_ptr<HttpClient> http, Clock& clock)
      : path_(std::move(path)), http_(std::move(http)), clock_(clock), file_(std::move(file)) {}
  void Write(absl::string_view text);

  const std::string path_;
  const std::unique_ptr<HttpClient> http_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  const Descriptor file_ ABSL_GUARDED_BY(mutex_);
  absl::Status written_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_TRACE_H_
