// The machine that certcast runs on.
#ifndef CERTCAST_CONTROLLER_API_REAL_MACHINE_H_
#define CERTCAST_CONTROLLER_API_REAL_MACHINE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "controller/api/machine.h"

namespace certcast::controller {

class TracingHttpClient;

// Owns what its Machine points to.
class RealMachine {
 public:
  RealMachine();
  RealMachine(const RealMachine&) = delete;
  RealMachine& operator=(const RealMachine&) = delete;
  const Machine& get() const { return machine_; }
  // From now on what is said to CAs is added to this file: see controller/acme/trace.h.
  absl::Status TraceTo(const std::string& path);
  // Why the transcript is not whole; OK where it is, or where there is none.
  absl::Status TraceWritten() const;

 private:
  std::unique_ptr<HttpClient> http_;
  // http_ itself, once something is traced.
  const TracingHttpClient* traced_ = nullptr;
  std::unique_ptr<DnsClient> dns_;
  std::unique_ptr<Prober> prober_;
  // In the directory of the store that was opened last; empty before.
  std::string agent_digests_;
  Machine machine_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_REAL_MACHINE_H_
