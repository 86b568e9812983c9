// A node that breaks a promise is found out: by the checks of that promise, and by no other. What is listed here has
// been seen to fail, and all that `conformance list` prints is listed here.
#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/conformance_fixture.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kWrongNode[] = "tests/conformance/wrong_node";

enum class Over { kStdio, kStdioWithListener, kHosted, kGrpc };

// What a wrong node does, and which checks fail of those whose names begin with one of `among`. Lists are words; one
// that ends with a dot stands for all checks that begin so.
struct Wrong {
  const char* fault;
  const char* among;
  const char* failing;
  Over over = Over::kStdio;
};
std::ostream& operator<<(std::ostream& out, const Wrong& wrong) {
  return out << wrong.fault << " among " << wrong.among;
}

constexpr char kShown[] =
    "challenge.put challenge.put-again challenge.remove challenge.lifetime challenge.lost-link challenge.epoch "
    "challenge.during-install";

const std::vector<Wrong>& WrongNodes() {
  static const auto* const nodes = new std::vector<Wrong>{
      {"none", "link. challenge. first.", ""},
      // What is said.
      {"hello-with-id", "link.", "link.hello"},
      {"answers-late", "link.order", "link.order"},
      {"answers-garbage", "link.", "link.garbage"},
      {"always-says-progress", "link.", "link.no-progress"},
      {"guesses-commands", "link.", "link.unknown-command"},
      {"refuses-unknown-fields", "link.", "link.unknown-fields"},
      {"takes-definitions", "link.", "link.no-commands"},
      {"runs-what-it-is-told", "link.", "link.no-commands"},
      {"takes-long-messages", "link.", "link.message-bounds"},
      {"clock-of-1970", "link.", "link.describe"},
      {"probes-nothing", "link.", "link.probe"},
      {"forgets-ids", "link. install.", "link.id-bounds install.same-id"},
      {"takes-any-epoch", "link. challenge.", "link.epoch challenge.epoch"},
      // A node that is told what it looks after.
      {"none", "link. hosted. file.", "", Over::kHosted},
      {"needs-no-definition", "hosted.", "hosted.untold", Over::kHosted},
      {"wants-it-once", "hosted.", "hosted.again", Over::kHosted},
      {"knows-better", "hosted.", "hosted.another hosted.fleet hosted.malformed hosted.followed", Over::kHosted},
      // Who may say it, and how much.
      {"none", "wire.",
       "wire.no-certificate wire.another-ca wire.another-node wire.another-fleet wire.expired wire.metadata "
       "wire.streams wire.handshake wire.keepalive wire.pings",
       Over::kGrpc},
      {"speaks-plaintext", "wire.plaintext", "wire.plaintext", Over::kGrpc},
      {"never-busy", "trouble.busy", "trouble.busy", Over::kGrpc},
      // Step verify.
      {"installs-whatever", "bundle.", "bundle."},
      {"reloads-what-it-refuses", "bundle.", "bundle."},
      {"gives-no-reason", "bundle.", "bundle."},
      {"all-is-malformed", "bundle.",
       "bundle.signature bundle.changed-manifest bundle.signer bundle.fleet bundle.expired-manifest "
       "bundle.future-manifest bundle.undeclared bundle.part-changed bundle.part-truncated bundle.leaf-digest "
       "bundle.key-mismatch bundle.chain-order bundle.chain-gap bundle.chain-foreign bundle.leaf-signature "
       "bundle.expired bundle.not-yet-valid bundle.name bundle.weak-key bundle.other-key bundle.lower-generation "
       "bundle.other-contents"},
      {"all-has-expired", "bundle.",
       "bundle.manifest-garbage bundle.certificate-name bundle.generation-zero bundle.chain-garbage "
       "bundle.key-garbage bundle.chain-size bundle.chain-length bundle.key-size bundle.confirm-timeout"},
      {"takes-any-signature", "bundle.", "bundle.signature bundle.changed-manifest bundle.signer"},
      {"takes-any-fleet", "bundle.", "bundle.fleet"},
      {"takes-old-manifests", "bundle.", "bundle.expired-manifest bundle.future-manifest"},
      {"takes-any-generation", "bundle.", "bundle.generation-zero bundle.lower-generation bundle.other-contents"},
      {"takes-any-part", "bundle.", "bundle.part-changed bundle.part-truncated bundle.leaf-digest"},
      {"takes-any-certificate", "bundle.", "bundle.certificate-name bundle.undeclared"},
      {"waits-for-ever", "bundle.", "bundle.confirm-timeout"},
      {"allows-any-name", "bundle.", "bundle.name"},
      // HTTP challenges.
      {"hides-the-place", "challenge.", "challenge.place"},
      {"shows-nothing", "challenge.", kShown},
      {"shows-more", "challenge.", kShown},
      {"shows-it-to-few", "challenge.", kShown},
      {"says-not-where", "challenge.", kShown},
      {"shows-it-once", "challenge.", "challenge.put-again challenge.epoch"},
      {"removes-another", "challenge.", "challenge.remove"},
      {"removes-another", "challenge.listener challenge.remove", "challenge.listener challenge.remove",
       Over::kStdioWithListener},
      {"mends-tokens", "challenge.", "challenge.token"},
      {"shows-anything", "challenge.contents challenge.put", "challenge.contents challenge.put challenge.put-again"},
      {"shows-for-any-time", "challenge.", "challenge.lifetime-bounds"},
      {"shows-for-a-day", "challenge.", "challenge.lifetime-bounds challenge.lifetime"},
      {"leaves-challenges", "challenge.", "challenge.lost-link"},
      {"no-challenge-meanwhile", "challenge.", "challenge.during-install"},
      // Installs that go well.
      {"made-up-fingerprint", "install.", "install.proven"},
      {"skips-a-step", "install.", "install.steps"},
      {"hides-the-way-back", "install.", "install.confirm"},
      {"confirms-anything", "install. trouble.no-confirm", "install.confirm-names install.revert trouble.no-confirm"},
      {"never-unchanged", "install.", "install.unchanged install.revert-confirmed"},
      {"reloads-what-is-there", "install.", "install.unchanged install.revert-confirmed"},
      {"never-busy", "install.", "install.one-waits"},
      {"calls-it-unchanged", "install.", "install.revert install.revert-confirmed"},
      {"never-again", "install.", "install.again"},
      {"tells-the-key", "install.", "install.no-secret"},
      {"hides-drift", "install. file.", "install.drift file.drift-mode file.drift-link file.drift-copy"},
      {"checks-nothing", "install. trouble.check trouble.no-confirm",
       "install.steps install.confirm install.same-id install.one-waits install.revert trouble.check "
       "trouble.no-confirm"},
      {"leaves-temporaries", "install.proven file.modes", "install.proven file.modes"},
      // What is on the disk.
      {"opens-a-mode", "file.", "file.modes file.drift-mode file.drift-link file.drift-copy"},
      {"links-for-copies", "file.", "file.shape file.drift-mode file.drift-link file.drift-copy"},
      {"copies-for-links", "file.", "file.shape file.one-flip file.drift-mode file.drift-link file.drift-copy"},
      {"makes-new-links", "file.", "file.one-flip"},
      {"keeps-more", "file.", "file.keep"},
      {"keeps-less", "file.", "file.keep"},
      {"stages-what-it-refuses", "file.", "file.refused"},
      {"opens-a-key", "file.", "file.secret"},
      {"hides-obstacles", "file.", "file.obstacle"},
      {"follows-any-link", "file.", "file.planted-link"},
      // First installs.
      {"forgets-bytes", "first.", "first.check first.probe first.revert"},
      {"forgets-modes", "first.", "first.check first.probe first.revert"},
      {"leaves-links", "first.", "first.nothing-check first.nothing-revert"},
      {"links-what-it-refuses", "first.", "first.refused"},
      // Trouble.
      {"calls-it-installed", "trouble.check trouble.flood trouble.probe", "trouble.check trouble.flood trouble.probe"},
      {"quotes-at-length", "trouble.flood trouble.probe", "trouble.flood"},
      {"quotes-the-beginning", "trouble.flood trouble.check", "trouble.flood trouble.check"},
      {"dislikes-words", "trouble.flood", "trouble.flood-ok"},
      {"is-patient", "trouble.hang trouble.check", "trouble.hang"},
      {"blames-the-probe", "trouble.reload trouble.check", "trouble.reload"},
      {"mixes", "trouble.check trouble.mixture", "trouble.check trouble.mixture"},
      {"mixes-when-cut", "trouble.cut", "trouble.cut"},
  };
  return *nodes;
}

std::vector<std::string> Words(absl::string_view text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

class FaultTable : public ConformanceTest {
 protected:
  // Names of all checks.
  std::set<std::string> Checks() {
    std::set<std::string> names;
    std::istringstream lines(Conformance({"list"}).out);
    for (std::string line; std::getline(lines, line);) names.insert(Words(line).at(1));
    return names;
  }
  static std::set<std::string> Expand(const std::string& words, const std::set<std::string>& checks) {
    std::set<std::string> names;
    for (const std::string& word : Words(words)) {
      if (word.back() != '.') names.insert(word);
      for (const std::string& check : checks) {
        if (word.back() == '.' && absl::StartsWith(check, word)) names.insert(check);
      }
    }
    return names;
  }

  // Of the wrong node with that fault.
  CommandResult Run(const Wrong& wrong) {
    // Whoever waits in vain has to wait for so long.
    std::vector<std::string> arguments = {"run", site_, "-o", "json", "--patience", "8"};
    for (const std::string& word : Words(wrong.among)) arguments.insert(arguments.end(), {"--only", word});
    std::vector<std::string> node = {Absolute(kWrongNode), wrong.fault, site_};
    std::vector<std::string> right = {Absolute(kAgent), "--config", config(), "stdio"};
    if (wrong.over == Over::kHosted) right = {Absolute(kAgent), "stdio"};
    if (wrong.over != Over::kGrpc) {
      arguments.push_back("--");
      node.insert(node.end(), right.begin(), right.end());
      arguments.insert(arguments.end(), node.begin(), node.end());
      return Conformance(arguments);
    }
    const std::string address = FreeAddress();
    node.insert(node.end(), {"--grpc", address});
    node.insert(node.end(), right.begin(), right.end());
    const std::string log = directory_.path() + "/wrong.log";
    const auto server = Program::Start({.argv = node, .output = log, .error = log});
    EXPECT_THAT(server, IsOk());
    EXPECT_THAT(WaitUntil("it listens", absl::Seconds(20), [&] { return !ReadFile(log).empty(); }), IsOk());
    arguments.insert(arguments.end(), {"--grpc", address});
    return Conformance(arguments);
  }
  static std::string FreeAddress() {
    const auto port = FreePort("127.0.0.1");
    EXPECT_THAT(port, IsOk());
    return absl::StrCat("127.0.0.1:", port.value_or(0));
  }
};

class WrongNodeTest : public FaultTable, public ::testing::WithParamInterface<Wrong> {};

TEST_P(WrongNodeTest, IsFoundOutByTheChecksOfThatPromise) {
  std::vector<std::string> options;
  if (GetParam().over == Over::kStdioWithListener) options = {"--challenge-listen", FreeAddress()};
  if (GetParam().over == Over::kHosted) {
    ASSERT_NO_FATAL_FAILURE(PrepareHosted());
  } else {
    ASSERT_NO_FATAL_FAILURE(Prepare(options));
  }
  const CommandResult result = Run(GetParam());
  ASSERT_TRUE(result.json.is_object()) << result;
  std::set<std::string> failed;
  for (const auto& check : result.json["checks"]) {
    if (check["result"] == "FAILED") failed.insert(check["name"].get<std::string>());
  }
  const std::set<std::string> wanted = Expand(GetParam().failing, Checks());
  EXPECT_EQ(failed, wanted) << result;
  EXPECT_EQ(result.exit_code, wanted.empty() ? 0 : 1);
}

INSTANTIATE_TEST_SUITE_P(Faults, WrongNodeTest, ::testing::ValuesIn(WrongNodes()), [](const auto& info) {
  std::string name = absl::StrCat(info.param.fault, "_", info.index);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

// A check that nobody has seen fail may be one that can't.
TEST_F(FaultTable, EveryCheckHasBeenSeenToFail) {
  const std::set<std::string> checks = Checks();
  std::set<std::string> unseen = checks;
  std::set<std::string> faults;
  for (const Wrong& wrong : WrongNodes()) {
    faults.insert(wrong.fault);
    for (const std::string& check : Expand(wrong.failing, checks)) unseen.erase(check);
  }
  EXPECT_THAT(unseen, IsEmpty());
  const CommandResult known = RunCaptured(directory_.path(), kWrongNode, {"list"}, "");
  EXPECT_EQ(faults, (std::set<std::string>(absl::StrSplit(known.out, '\n', absl::SkipEmpty()))));
  EXPECT_THAT(ReadFile("tests/conformance/README.md"),
              HasSubstr(absl::StrCat("breaks a promise in ", faults.size() - 1, " ways; each of the ", checks.size(),
                                     " checks")));
}

}  // namespace
}  // namespace certcast::testing
