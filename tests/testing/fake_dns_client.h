// DNS without a network: each server has the records that a test gives it.
#ifndef CERTCAST_TESTS_TESTING_FAKE_DNS_CLIENT_H_
#define CERTCAST_TESTS_TESTING_FAKE_DNS_CLIENT_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "controller/acme/dns_client.h"

namespace certcast::testing {

// Thread-safe. A server that has no record at all does not answer.
class FakeDnsClient final : public controller::DnsClient {
 public:
  struct Asked {
    std::string server;
    controller::DnsQuestion question;
  };

  void set_resolvers(std::vector<std::string> resolvers);
  void Add(const std::string& server, controller::DnsRecord record);
  void Remove(const std::string& server, const controller::DnsRecord& record);
  // `server` is asked about names below `zone` and knows only who holds them.
  void Delegate(const std::string& server, const std::string& zone, const std::string& name_server);
  // It looks up for others what they ask it to: without that it says nothing.
  void MakeRecursive(const std::string& server);
  // It has no record any more, and does not answer.
  void Forget(const std::string& server);
  // What it answers whatever it is asked.
  void SetRcode(const std::string& server, int rcode);
  // From its `after`-th question on (from 0) the server's answers also have this record.
  void AddLater(const std::string& server, controller::DnsRecord record, int after);

  absl::StatusOr<controller::DnsReply> Ask(const std::string& server, const controller::DnsQuestion& question,
                                           absl::Duration timeout) override;
  // Adds and removes records of that server.
  absl::Status Update(const std::string& server, const controller::TxtUpdate& update, const controller::TsigKey* key,
                      absl::Duration timeout) override;
  absl::StatusOr<std::vector<std::string>> SystemResolvers() override;
  // What Update says next, in this order; then it works again.
  void FailUpdates(std::vector<absl::Status> errors);
  // The key and its secret, of every update: "KEY hmac-sha256 SECRET", or "".
  std::vector<std::string> update_keys() const;

  std::vector<Asked> asked() const;

 private:
  struct Later {
    int after = 0;
    controller::DnsRecord record;
  };
  struct Server {
    std::vector<controller::DnsRecord> records;
    std::vector<Later> later;
    // zone -> name server
    std::vector<std::pair<std::string, std::string>> delegations;
    int questions = 0;
    bool recursive = false;
    std::optional<int> rcode;
  };

  mutable absl::Mutex mutex_;
  std::vector<std::string> resolvers_ ABSL_GUARDED_BY(mutex_) = {"192.0.2.1:53"};
  std::map<std::string, Server> servers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Asked> asked_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Status> update_errors_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> update_keys_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_DNS_CLIENT_H_
