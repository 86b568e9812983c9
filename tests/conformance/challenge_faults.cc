#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/http_challenge/token.h"
#include "tests/conformance/fault.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

using OnPut = std::function<void(Passage&, v1::PutHttpChallenge&)>;
using OnRemove = std::function<void(v1::RemoveHttpChallenge&)>;
using OnShown = std::function<void(const std::string& file, const v1::PutHttpChallenge&)>;

Fault OfPuts(const OnPut& on_put) {
  Fault fault;
  fault.on_command = [=](Passage& passage, v1::Command& command) {
    if (command.has_put_http_challenge()) on_put(passage, *command.mutable_put_http_challenge());
  };
  return fault;
}

std::string FileOf(const Passage& passage, const std::string& token) {
  return absl::StrCat(passage.site.folder(), "/webroot", kChallengePath, token);
}

// Once the right node shows it.
Fault OfShown(const OnShown& on_shown) {
  Fault fault;
  fault.on_command = [](Passage& passage, v1::Command& command) { passage.commands[command.id()] = command; };
  fault.on_report = [=](Passage& passage, v1::Report& report) {
    const v1::PutHttpChallenge& put = passage.commands[report.command_id()].put_http_challenge();
    if (report.has_http_challenge_result() && !put.token().empty()) on_shown(FileOf(passage, put.token()), put);
  };
  return fault;
}

std::string WithoutStrangeCharacters(std::string token) {
  token.erase(std::remove_if(token.begin(), token.end(), [](char c) { return !absl::ascii_isalnum(c) && c != '-'; }),
              token.end());
  return token.empty() ? "empty" : token.substr(0, kMaxChallengeToken);
}

Fault NotDuringAnInstall() {
  Fault fault;
  fault.on_report = [](Passage& passage, v1::Report& report) {
    if (!report.has_install_result()) return;
    if (report.install_result().has_confirm_by()) {
      passage.seen.insert("waits");
    } else {
      passage.seen.erase("waits");
    }
  };
  fault.on_command = [](Passage& passage, v1::Command& command) {
    if (command.has_put_http_challenge() && passage.seen.contains("waits")) command.clear_body();
  };
  return fault;
}

Fault LeavesThem() {
  Fault fault;
  fault.on_command = [](Passage& passage, v1::Command& command) {
    if (command.has_put_http_challenge()) passage.seen.insert(command.put_http_challenge().token());
  };
  fault.on_end = [](Passage& passage) {
    for (const std::string& token : passage.seen) {
      (void)testing::WriteFile(FileOf(passage, token), "left behind", 0644);
    }
  };
  return fault;
}

}  // namespace

Faults ChallengeFaults() {
  Faults faults;
  faults["shows-nothing"] =
      OfShown([](const std::string& file, const v1::PutHttpChallenge&) { (void)unlink(file.c_str()); });
  faults["shows-more"] = OfShown([](const std::string& file, const v1::PutHttpChallenge& put) {
    (void)testing::WriteFile(file, put.key_authorization() + "\n", 0644);
  });
  faults["shows-it-to-few"] = OfShown([](const std::string& file, const v1::PutHttpChallenge& put) {
    (void)testing::WriteFile(file, put.key_authorization(), 0600);
  });
  faults["shows-it-once"] = OfPuts([](Passage& passage, v1::PutHttpChallenge& put) {
    if (!passage.seen.insert(put.token()).second) put.clear_token();
  });
  faults["removes-another"].on_command = [](Passage&, v1::Command& command) {
    auto* const token =
        command.has_remove_http_challenge() ? command.mutable_remove_http_challenge()->mutable_token() : nullptr;
    if (token != nullptr && token->size() > 10 && token->size() < kMaxChallengeToken) token->append("x");
  };
  faults["says-not-where"].on_report = [](Passage&, v1::Report& report) {
    if (report.has_http_challenge_result()) report.mutable_http_challenge_result()->clear_http_challenge();
  };
  faults["mends-tokens"].on_command = [](Passage&, v1::Command& command) {
    if (!command.has_remove_http_challenge()) return;
    v1::RemoveHttpChallenge& remove = *command.mutable_remove_http_challenge();
    remove.set_token(WithoutStrangeCharacters(remove.token()));
  };
  faults["shows-anything"] = OfPuts([](Passage&, v1::PutHttpChallenge& put) {
    put.set_key_authorization(absl::StrCat(put.token(), ".", std::string(43, 'x')));
  });
  faults["shows-for-any-time"] = OfPuts([](Passage&, v1::PutHttpChallenge& put) {
    put.mutable_lifetime()->set_seconds(std::clamp<int64_t>(put.lifetime().seconds(), 1, 86400));
  });
  faults["shows-for-a-day"] =
      OfPuts([](Passage&, v1::PutHttpChallenge& put) { put.mutable_lifetime()->set_seconds(86400); });
  faults["leaves-challenges"] = LeavesThem();
  faults["no-challenge-meanwhile"] = NotDuringAnInstall();
  return faults;
}

}  // namespace certcast::conformance
