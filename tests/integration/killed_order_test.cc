// The real program, killed by SIGKILL at each request of an order, before and after the CA hears of it, against a
// simulated CA over HTTPS that checks every signature with the program `openssl`. And answers that no CA should give.
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/clock/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/acme_tls_server.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/fake_acme_server.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A controller whose hook keeps its records in a file, which the CA looks into.
class World {
 public:
  World() {
    ca_.behaviour.processing_looks = 1;
    ca_.behaviour.renewal_window = {Clock::Real().Now() + absl::Hours(24 * 50),
                                    Clock::Real().Now() + absl::Hours(24 * 52)};
    EXPECT_THAT(WriteFile(hook(),
                          absl::StrCat("#!/bin/sh\n"
                                       "case \"$1\" in\n"
                                       "present) echo \"$2 $3\" >>",
                                       zone(),
                                       " ;;\n"
                                       "cleanup) sed -i \"/^$2 $3\\$/d\" ",
                                       zone(),
                                       " ;;\n"
                                       "esac\n"),
                          0700),
                IsOk());
    EXPECT_THAT(WriteFile(zone(), ""), IsOk());
    EXPECT_THAT(
        WriteFile(program_.config_path(),
                  absl::StrCat("state: state\nmaster_key: {file: master.key}\naccounts:\n  - {name: ca, directory: \"",
                               ca_.directory_url(), "\", ca_file: ", server_->ca_file(),
                               ", terms_of_service_agreed: true}\ncertificates:\n  - name: wildcard\n    account: ca\n"
                               "    domains: [\"*.example.com\", example.com]\n"
                               "    challenge: {type: dns-01, solver: exec, exec: {command: [",
                               hook(), "]}, propagation: {skip: true}}\n")),
        IsOk());
    const CommandResult made = program_.Run({"init"});
    EXPECT_EQ(made.exit_code, 0) << made;
  }

  CommandResult Issue() { return program_.Json({"issue", "wildcard"}); }
  // Where a run was ended.
  struct Killed {
    // False: it ended by itself, since it makes fewer requests.
    bool at_all = false;
    bool at_new_order = false;
    // It had heard of its order.
    bool with_order = false;
  };
  Killed KillAt(int at, bool after, const std::vector<std::string>& arguments) {
    // Known before the first request comes: the program takes longer to get there than this test to note it.
    std::atomic<pid_t> pid = 0;
    std::atomic<bool> killed = false;
    const auto kill_it = [&] {
      while (pid == 0) Clock::Real().Sleep(absl::Milliseconds(1));
      killed = true;
      // With this the other thread goes on, and all of this is over.
      ::kill(pid, SIGKILL);
    };
    Killed where;
    server_->set_on_request([&, at, after](int number, const controller::HttpRequest& request) {
      AcmeTlsServer::Deed deed;
      const bool is_new_order = request.url == ca_.origin() + "/new-order";
      if (number < at && is_new_order) where.with_order = true;
      if (number != at) return deed;
      where.at_new_order = is_new_order;
      deed.lose_request = !after;
      deed.lose_answer = true;
      deed.before_answering = kill_it;
      return deed;
    });
    auto running = program_.StartJson(arguments);
    EXPECT_THAT(running, IsOk());
    pid = (*running)->program().pid();
    const CommandResult result = (*running)->Finish();
    server_->set_on_request(nullptr);
    EXPECT_EQ(result.exit_code, killed ? 128 + SIGKILL : 0) << result;
    where.at_all = killed;
    return where;
  }

  std::string hook() const { return directory_.path() + "/hook"; }
  std::string zone() const { return directory_.path() + "/zone"; }
  FakeAcmeServer& ca() { return ca_; }
  AcmeTlsServer& server() { return *server_; }
  const ControllerProgram& program() const { return program_; }

 private:
  TemporaryDirectory directory_;
  FakeAcmeServer ca_{Clock::Real(), [this](const std::string& fqdn) {
                       std::vector<std::string> values;
                       const std::vector<std::string> lines = absl::StrSplit(ReadFile(zone()), '\n');
                       for (const std::string& line : lines) {
                         const std::vector<std::string> words = absl::StrSplit(line, ' ');
                         if (words.size() == 2 && words[0] == fqdn) values.push_back(words[1]);
                       }
                       return values;
                     }};
  std::unique_ptr<AcmeTlsServer> server_ = std::make_unique<AcmeTlsServer>(ca_, directory_.path());
  ControllerProgram program_{directory_.path()};
};

void ExpectAllWell(World& world, bool new_order_was_lost) {
  EXPECT_EQ(world.ca().finalized(), 1);
  EXPECT_EQ(world.ca().issued(), 1);
  EXPECT_EQ(world.ca().accounts(), 1);
  // Nobody can know of an order whose URL was lost on the wire.
  EXPECT_EQ(world.ca().orders(), new_order_was_lost ? 2 : 1);
  EXPECT_EQ(ReadFile(world.zone()), "");
  const CommandResult shown = world.program().Json({"certificates"});
  ASSERT_EQ(shown.exit_code, 0) << shown;
  const auto& certificate = shown.json["certificates"][0];
  EXPECT_THAT(certificate["generations"], SizeIs(1));
  EXPECT_EQ(certificate["orderUrl"], "");
  EXPECT_THAT(certificate["renewReason"], HasSubstr("the CA suggests"));
}

TEST(KilledOrder, TheStraightWayHoldsForTheOpensslProgram) {
  World world;
  world.ca().behaviour.checks_with_openssl = true;
  const CommandResult issued = world.Issue();
  ASSERT_EQ(issued.exit_code, 0) << issued;
  ExpectAllWell(world, false);
}

// `before`: the CA does not hear of the request at which the program dies.
class KilledOrderTest : public ::testing::TestWithParam<bool> {};

TEST_P(KilledOrderTest, AtEachRequestOneCertificateComesOfIt) {
  const bool after = GetParam();
  int at = 1;
  for (; at < 100; ++at) {
    SCOPED_TRACE(absl::StrCat("request ", at));
    World world;
    const World::Killed killed = world.KillAt(at, after, {"issue", "wildcard"});
    if (!killed.at_all) break;
    const CommandResult issued = world.Issue();
    ASSERT_EQ(issued.exit_code, 0) << issued;
    ExpectAllWell(world, killed.at_new_order && after);
    if (::testing::Test::HasFailure()) return;
  }
  // directory, nonce, account, order, two authorizations, two challenges, verdicts, finalize, certificate, ...
  EXPECT_GT(at, 12);
  EXPECT_LT(at, 100);
}

// Nothing is due any more when the next run comes: it finishes what was asked for all the same.
TEST_P(KilledOrderTest, AForcedRenewalIsFinishedByAPlainRun) {
  const bool after = GetParam();
  int at = 1;
  for (; at < 100; ++at) {
    SCOPED_TRACE(absl::StrCat("request ", at));
    World world;
    ASSERT_EQ(world.Issue().exit_code, 0);
    const World::Killed killed = world.KillAt(at, after, {"issue", "wildcard", "--force-renewal"});
    if (!killed.at_all) break;
    const CommandResult issued = world.Issue();
    ASSERT_EQ(issued.exit_code, 0) << issued;
    const int expected = killed.with_order ? 2 : 1;
    EXPECT_EQ(world.ca().finalized(), expected);
    EXPECT_EQ(world.ca().issued(), expected);
    EXPECT_EQ(world.ca().orders(), killed.with_order || (killed.at_new_order && after) ? 2 : 1);
    EXPECT_EQ(ReadFile(world.zone()), "");
    const CommandResult shown = world.program().Json({"certificates"});
    ASSERT_EQ(shown.exit_code, 0) << shown;
    EXPECT_THAT(shown.json["certificates"][0]["generations"], SizeIs(expected));
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(at, 8);
  EXPECT_LT(at, 100);
}

INSTANTIATE_TEST_SUITE_P(Each, KilledOrderTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "AfterTheCaActed" : "BeforeTheCaHears"; });

// --- Answers that no CA should give. Each is said, in time, and without an order that is lost.

struct Nonsense {
  const char* name;
  // Of the request that it answers.
  const char* path;
  std::string raw;
  size_t endless = 0;
  const char* says = "";
  friend void PrintTo(const Nonsense& nonsense, std::ostream* out) { *out << nonsense.name; }
};

class NonsenseTest : public ::testing::TestWithParam<Nonsense> {};

TEST_P(NonsenseTest, IsSaidAndTheNextRunGoesOn) {
  const Nonsense& nonsense = GetParam();
  World world;
  world.server().set_on_request([&](int, const controller::HttpRequest& request) {
    AcmeTlsServer::Deed deed;
    if (!absl::StartsWith(request.url.substr(world.ca().origin().size()), nonsense.path)) return deed;
    deed.lose_request = false;
    deed.raw_answer = nonsense.raw;
    deed.endless = nonsense.endless;
    return deed;
  });
  const CommandResult refused = world.Issue();
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(absl::StrCat(refused.err, refused.out), HasSubstr(nonsense.says)) << refused;
  world.server().set_on_request(nullptr);
  const CommandResult issued = world.Issue();
  EXPECT_EQ(issued.exit_code, 0) << issued;
  EXPECT_EQ(ReadFile(world.zone()), "");
}

constexpr char kEndless[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    Answers, NonsenseTest,
    ::testing::Values(
        Nonsense{"DirectoryWithoutEnd", "/directory", kEndless, size_t{64} << 20, "larger than 1048576 bytes"},
        Nonsense{"DirectoryThatIsAPage", "/directory", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", 0,
                 "it is none"},
        Nonsense{"NoHttpAtAll", "/directory", "SSH-2.0-OpenSSH_9.2\r\n", 0, "/directory"},
        Nonsense{"NewOrderThatRedirects", "/new-order",
                 "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://localhost:1/elsewhere\r\n"
                 "Content-Length: 0\r\n\r\n",
                 0, "HTTP 307"},
        Nonsense{"CertificateWithoutEnd", "/certificate/", kEndless, size_t{64} << 20, "larger than 1048576 bytes"},
        Nonsense{"OrderThatIsAList", "/order/", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 0, "an order"}),
    [](const auto& info) { return info.param.name; });

// --- The transcript, by the real program.

TEST(Trace, OfTheRealProgramHoldsEveryRequestAndNoSignature) {
  World world;
  const std::string path = world.zone() + ".trace";
  const CommandResult issued = world.program().Run({"--trace", path, "issue", "wildcard"});
  ASSERT_EQ(issued.exit_code, 0) << issued;
  const std::string trace = ReadFile(path);
  for (const std::string& request : world.server().requests()) {
    const std::vector<std::string> words = absl::StrSplit(request, ' ');
    EXPECT_THAT(trace, HasSubstr(absl::StrCat(words[0], " ", world.ca().origin(), words[1])));
  }
  EXPECT_THAT(trace, HasSubstr("\"signature\": \"REDACTED\""));
  struct stat found = {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  EXPECT_THAT(issued.err, Not(HasSubstr("transcript")));

  const CommandResult full = world.program().Run({"--trace", "/dev/full", "issue", "wildcard", "--force-renewal"});
  EXPECT_EQ(full.exit_code, 0) << full;
  EXPECT_THAT(full.err, EndsWith("warning: the transcript is not whole: writing /dev/full: No space left on device\n"));
}

}  // namespace
}  // namespace certcast::testing
