// A DNS server on 127.0.0.1, UDP, with the records that a test gives it.
#ifndef CERTCAST_TESTS_TESTING_FAKE_DNS_SERVER_H_
#define CERTCAST_TESTS_TESTING_FAKE_DNS_SERVER_H_

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace certcast::testing {

// Thread-safe.
class FakeDnsServer {
 public:
  // Listens on a free port; ends the program when it can't.
  FakeDnsServer();
  ~FakeDnsServer();
  FakeDnsServer(const FakeDnsServer&) = delete;
  FakeDnsServer& operator=(const FakeDnsServer&) = delete;

  // 127.0.0.1:port.
  std::string address() const;

  // In presentation form: `_acme-challenge.example.com. 60 IN TXT "value"`.
  void Add(const std::string& record);
  void Clear();
  // Reads questions and says nothing.
  void set_silent(bool silent) { silent_ = silent; }
  // What is answered to any question; 0: NOERROR, or NXDOMAIN where the name has no record.
  void set_rcode(int rcode) { rcode_ = rcode; }
  // As a resolver says it: recursion is available, and nothing is its own.
  void set_recursive(bool recursive) { recursive_ = recursive; }
  // Answers with another id than the question's.
  void set_wrong_id(bool wrong) { wrong_id_ = wrong; }

  int questions() const { return questions_; }
  // Whether the latest one wanted recursion.
  bool recursion_desired() const { return recursion_desired_; }

 private:
  void Serve();
  std::string Answer(const std::string& question);

  int socket_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> silent_{false};
  std::atomic<int> rcode_{0};
  std::atomic<bool> recursive_{false};
  std::atomic<bool> wrong_id_{false};
  std::atomic<int> questions_{0};
  std::atomic<bool> recursion_desired_{false};
  absl::Mutex mutex_;
  std::vector<std::string> records_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_DNS_SERVER_H_
