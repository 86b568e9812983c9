#include "controller/acme/propagation.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/acme/zone_servers.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kQueryTimeout = absl::Seconds(3);
constexpr absl::Duration kLongestPause = absl::Seconds(10);
constexpr absl::string_view kHint =
    "check that it is written to the zone that these servers hold, and that other values at the name are kept; give a "
    "slow zone more challenge.propagation.timeout";
// This machine's resolver led to these servers, and the CA's may lead to others.
constexpr absl::string_view kSplitHorizonHint =
    "; where the DNS looks different from here than from outside (split horizon), name resolvers that see what the CA "
    "sees in challenge.propagation.resolvers";

// Who is asked for one name.
struct Question {
  std::string name;
  std::vector<NameServer> servers;
  bool recursion = false;
};

// Why a name is not ready.
struct Lack {
  std::string text;
  std::string hint;
};

// nullopt: it has every value. Else what it said.
std::optional<std::string> Lacking(const DnsReply& reply, const std::vector<std::string>& values) {
  std::vector<std::string> seen;
  for (const DnsRecord& record : reply.answers) {
    if (record.type == DnsType::kTxt) seen.push_back(record.data);
  }
  const bool all = std::all_of(values.begin(), values.end(), [&](const std::string& value) {
    return std::find(seen.begin(), seen.end(), value) != seen.end();
  });
  if (all) return std::nullopt;
  if (!seen.empty()) return absl::StrCat("answered only ", absl::StrJoin(seen, ", "));
  return reply.ok() ? "answered without a TXT record" : absl::StrCat("answered ", reply.RcodeName());
}

class Watch {
 public:
  Watch(DnsClient& dns, const ChallengeConfig::Propagation& config) : dns_(dns), config_(config) {}

  // nullopt: every server has it.
  std::optional<Lack> LookFor(const ExpectedTxt& expected) {
    auto question = QuestionFor(expected.fqdn);
    if (!question.ok()) return Lack{std::string(question.status().message()), FailureOf(question.status()).hint()};
    for (const NameServer& server : question->servers) {
      auto lacking = LookAt(server, *question, expected.values);
      if (lacking.has_value()) return Lack{*std::move(lacking), Hint()};
    }
    return std::nullopt;
  }

 private:
  std::string Hint() const { return absl::StrCat(kHint, config_.resolvers.empty() ? kSplitHorizonHint : ""); }

  absl::StatusOr<Question> QuestionFor(const std::string& fqdn) {
    if (!config_.resolvers.empty()) {
      Question question{.name = fqdn, .recursion = true};
      for (const std::string& resolver : config_.resolvers) question.servers.push_back({resolver, {resolver}});
      return question;
    }
    ASSIGN_OR_RETURN(AuthoritativeServers found, FindAuthoritativeServers(dns_, fqdn));
    return Question{.name = found.name, .servers = std::move(found.servers)};
  }

  std::optional<std::string> LookAt(const NameServer& server, const Question& question,
                                    const std::vector<std::string>& values) {
    std::optional<std::string> silent;
    bool seen = false;
    for (const std::string& address : server.addresses) {
      const auto reply = dns_.Ask(
          address, {.name = question.name, .type = DnsType::kTxt, .recursion = question.recursion}, kQueryTimeout);
      const std::string who = server.name == address ? address : absl::StrCat(server.name, " (", address, ")");
      if (!reply.ok()) {
        silent = absl::StrCat(who, " did not answer: ", reply.status().message());
        continue;
      }
      if (auto lacking = Lacking(*reply, values)) return absl::StrCat(who, " ", *lacking);
      seen = true;
    }
    // An address that can't be reached from here (IPv6) does not matter beside one that can.
    return seen ? std::nullopt : silent;
  }

  DnsClient& dns_;
  const ChallengeConfig::Propagation& config_;
};

}  // namespace

absl::Status WaitForTxt(DnsClient& dns, Clock& clock, const ChallengeConfig::Propagation& config,
                        const std::vector<ExpectedTxt>& expected,
                        const std::function<void(absl::string_view)>& on_progress) {
  const absl::Duration end = clock.Monotonic() + config.timeout;
  Watch watch(dns, config);
  for (const ExpectedTxt& txt : expected) {
    absl::Duration pause = absl::Milliseconds(500);
    while (const auto lacking = watch.LookFor(txt)) {
      if (clock.Monotonic() + pause > end) {
        return WithStep(Fail(Reason::CHALLENGE_FAILED,
                             absl::StrCat("the TXT record ", txt.fqdn, " is not everywhere after ",
                                          absl::FormatDuration(config.timeout), ": ", lacking->text),
                             lacking->hint),
                        "propagation");
      }
      on_progress(absl::StrCat("waiting for ", txt.fqdn, ": ", lacking->text));
      clock.Sleep(pause);
      pause = std::min(2 * pause, kLongestPause);
    }
  }
  return absl::OkStatus();
}

}  // namespace certcast::controller
