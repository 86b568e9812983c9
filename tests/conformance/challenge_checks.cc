#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/http_challenge/token.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

constexpr char kShows[] = "link.proto, PutHttpChallenge";
constexpr char kTakesAway[] = "link.proto, RemoveHttpChallenge";

// Of an account key.
constexpr char kThumbprint[] = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ";
constexpr absl::Duration kLifetime = absl::Minutes(2);

// Never used before.
std::string NewToken(Examiner& examiner) {
  return absl::StrReplaceAll(examiner.NewCommand().id(), {{"conformance", "token"}});
}

std::string Authorization(const std::string& token) {
  return absl::StrCat(token, ".", kThumbprint);
}

v1::Command NewPut(Examiner& examiner, const std::string& token, const std::string& key_authorization,
                   absl::Duration lifetime = kLifetime) {
  v1::Command command = examiner.NewCommand();
  v1::PutHttpChallenge& put = *command.mutable_put_http_challenge();
  put.set_token(token);
  put.set_key_authorization(key_authorization);
  put.mutable_lifetime()->set_seconds(absl::ToInt64Seconds(lifetime));
  return command;
}

v1::Command NewPut(Examiner& examiner, const std::string& token) {
  return NewPut(examiner, token, Authorization(token));
}

v1::Command NewRemove(Examiner& examiner, const std::string& token) {
  v1::Command command = examiner.NewCommand();
  command.mutable_remove_http_challenge()->set_token(token);
  return command;
}

absl::Status ExpectDone(Examiner& examiner, const v1::Command& command) {
  ASSIGN_OR_RETURN(const v1::Report report, examiner.Call(command));
  if (report.has_refusal()) {
    return absl::FailedPreconditionError(absl::StrCat("it is refused: ", report.refusal().failure().detail()));
  }
  RETURN_IF_ERROR(Expect(report.has_http_challenge_result(), "the answer is no HttpChallengeResult"));
  return ExpectSame("the result's http_challenge", report.http_challenge_result().http_challenge(),
                    examiner.site().challenge_place());
}

absl::Status ExpectShown(Examiner& examiner, const std::string& token) {
  const std::optional<std::string> shown = examiner.site().ShownAt(token);
  RETURN_IF_ERROR(Expect(shown.has_value(), "nothing is shown at the challenge's path"));
  return ExpectSame("what is shown", *shown, Authorization(token));
}

absl::Status ExpectNotShown(Examiner& examiner, const std::string& token) {
  const std::optional<std::string> shown = examiner.site().ShownAt(token);
  return Expect(!shown.has_value(), absl::StrCat("shown at the challenge's path is ", shown.value_or("")));
}

absl::Status ExpectRefusedAs(Examiner& examiner, const v1::Command& command, absl::string_view reason) {
  ASSIGN_OR_RETURN(const v1::Failure failure, examiner.Refusal(command));
  return ExpectSame("the reason", v1::Reason::Code_Name(failure.reason()), reason);
}

absl::Status SaysWhere(Examiner& examiner) {
  ASSIGN_OR_RETURN(const v1::Inventory inventory, examiner.Describe());
  return ExpectSame("the inventory's http_challenge", inventory.http_challenge(), examiner.site().challenge_place());
}

absl::Status Shows(Examiner& examiner) {
  const std::string first = NewToken(examiner);
  const std::string second = NewToken(examiner) + std::string(kMaxChallengeToken, 'x');
  const std::string longest = second.substr(0, kMaxChallengeToken);
  for (const std::string& token : {first, longest}) RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, token)));
  for (const std::string& token : {first, longest}) RETURN_IF_ERROR(ExpectShown(examiner, token));
  RETURN_IF_ERROR(ExpectNotShown(examiner, NewToken(examiner)));
  for (const std::string& token : {first, longest}) RETURN_IF_ERROR(ExpectDone(examiner, NewRemove(examiner, token)));
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), ""));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status ShowsAgain(Examiner& examiner) {
  const std::string token = NewToken(examiner);
  const v1::Command put = NewPut(examiner, token);
  for (const v1::Command& command : {put, put, NewPut(examiner, token)}) {
    RETURN_IF_ERROR(ExpectDone(examiner, command));
    RETURN_IF_ERROR(ExpectShown(examiner, token));
  }
  return ExpectDone(examiner, NewRemove(examiner, token));
}

absl::Status Removes(Examiner& examiner) {
  const std::string token = NewToken(examiner);
  const std::string other = NewToken(examiner);
  for (const std::string& each : {token, other}) RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, each)));
  const v1::Command remove = NewRemove(examiner, token);
  for (const v1::Command& command : {remove, remove, NewRemove(examiner, token)}) {
    RETURN_IF_ERROR(ExpectDone(examiner, command));
    RETURN_IF_ERROR(ExpectNotShown(examiner, token));
  }
  RETURN_IF_ERROR(ExpectShown(examiner, other));
  RETURN_IF_ERROR(ExpectDone(examiner, NewRemove(examiner, other)));
  return ExpectDone(examiner, NewRemove(examiner, NewToken(examiner)));
}

// They become names of files, and parts of a URL.
absl::Status RefusesTokens(Examiner& examiner) {
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("../outside"),
        std::string("/etc/outside"), std::string("a.b"), std::string("a b"), std::string("a%2fb"), std::string("a\nb"),
        std::string("a\0b", 3), std::string("a=="), std::string("\xc3\xa9"),
        std::string(kMaxChallengeToken + 1, 'x')}) {
    const std::string which = absl::StrCat("of the token \"", token, "\"");
    RETURN_IF_ERROR(Annotate(ExpectRefusedAs(examiner, NewPut(examiner, token), "MALFORMED"), which));
    RETURN_IF_ERROR(Annotate(ExpectRefusedAs(examiner, NewRemove(examiner, token), "MALFORMED"), which));
  }
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status RefusesOtherContents(Examiner& examiner) {
  const std::string token = NewToken(examiner);
  for (const std::string& contents :
       {std::string(), token, token + ".", Authorization(NewToken(examiner)), Authorization(token) + "\n",
        Authorization(token) + "x", absl::StrCat(token, ".", "<script>alert(1)</script>"),
        absl::StrCat(token, ".", std::string(100, 'x'))}) {
    const std::string which = absl::StrCat("of the key authorization \"", contents, "\"");
    RETURN_IF_ERROR(Annotate(ExpectRefusedAs(examiner, NewPut(examiner, token, contents), "MALFORMED"), which));
    RETURN_IF_ERROR(Annotate(ExpectNotShown(examiner, token), which));
  }
  return absl::OkStatus();
}

absl::Status BoundsLifetimes(Examiner& examiner) {
  const std::string token = NewToken(examiner);
  for (const absl::Duration lifetime : {absl::ZeroDuration(), -absl::Hours(1), absl::Hours(24) + absl::Seconds(1)}) {
    const v1::Command put = NewPut(examiner, token, Authorization(token), lifetime);
    RETURN_IF_ERROR(ExpectRefusedAs(examiner, put, "MALFORMED"));
    RETURN_IF_ERROR(ExpectNotShown(examiner, token));
  }
  return absl::OkStatus();
}

absl::Status AwaitGone(Examiner& examiner, const std::string& token) {
  return testing::WaitUntil("the challenge is gone", examiner.patience(),
                            [&] { return ExpectNotShown(examiner, token).ok(); });
}

absl::Status TakesAwayByItself(Examiner& examiner) {
  const std::string stays = NewToken(examiner);
  const std::string goes = NewToken(examiner);
  RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, stays)));
  RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, goes, Authorization(goes), absl::Seconds(1))));
  RETURN_IF_ERROR(ExpectShown(examiner, goes));
  RETURN_IF_ERROR(AwaitGone(examiner, goes));
  RETURN_IF_ERROR(Annotate(ExpectShown(examiner, stays), "of one that has time left"));
  return ExpectDone(examiner, NewRemove(examiner, stays));
}

absl::Status TakesAwayWithoutALink(Examiner& examiner) {
  const std::string token = NewToken(examiner);
  RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, token, Authorization(token), absl::Seconds(2))));
  RETURN_IF_ERROR(ExpectShown(examiner, token));
  examiner.CutLink();
  RETURN_IF_ERROR(AwaitGone(examiner, token));
  // The node is there all the same.
  RETURN_IF_ERROR(ExpectDone(examiner, NewRemove(examiner, token)));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status RefusesALowerEpoch(Examiner& examiner) {
  const std::string token = NewToken(examiner);
  v1::Command put = NewPut(examiner, token);
  put.set_epoch(examiner.epoch() - 1);
  RETURN_IF_ERROR(ExpectRefusedAs(examiner, put, "STALE_EPOCH"));
  RETURN_IF_ERROR(ExpectNotShown(examiner, token));
  RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, token)));
  v1::Command remove = NewRemove(examiner, token);
  remove.set_epoch(examiner.epoch() - 1);
  RETURN_IF_ERROR(ExpectRefusedAs(examiner, remove, "STALE_EPOCH"));
  RETURN_IF_ERROR(ExpectShown(examiner, token));
  return ExpectDone(examiner, NewRemove(examiner, token));
}

absl::Status ShowsDuringAnInstall(Examiner& examiner) {
  const testing::IssuedCertificate issued = examiner.site().Issue();
  ASSIGN_OR_RETURN(const v1::InstallResult installed,
                   examiner.Change(examiner.NewInstall(issued, examiner.NextGeneration())));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(installed, "INSTALLED"));
  const std::string token = NewToken(examiner);
  RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, token)));
  RETURN_IF_ERROR(ExpectShown(examiner, token));
  RETURN_IF_ERROR(ExpectDone(examiner, NewRemove(examiner, token)));
  return examiner.ExpectInForce(issued, /*confirmed=*/false);
}

absl::Status ListensOnlyMeanwhile(Examiner& examiner) {
  const Site& site = examiner.site();
  if (!site.challenges_by_listener()) return absl::UnimplementedError("this node shows challenges in a webroot");
  const std::string token = NewToken(examiner);
  RETURN_IF_ERROR(Expect(!site.ChallengeListens(), "it listens before there is anything to show"));
  RETURN_IF_ERROR(ExpectDone(examiner, NewPut(examiner, token)));
  RETURN_IF_ERROR(Expect(site.ChallengeListens(), "it does not listen while there is something to show"));
  RETURN_IF_ERROR(ExpectDone(examiner, NewRemove(examiner, token)));
  return Expect(!site.ChallengeListens(), "it listens when there is nothing to show any more");
}

}  // namespace

std::vector<Check> ChallengeChecks() {
  return {
      {"challenge.place", "The inventory says where the node shows HTTP challenges, as its configuration has it.",
       "link.proto, Inventory", SaysWhere},
      {"challenge.put", "The key authorization, and nothing else, is shown at /.well-known/acme-challenge/TOKEN.",
       kShows, Shows},
      {"challenge.put-again", "To show is idempotent, under the same id and another.", kShows, ShowsAgain},
      {"challenge.remove", "What is removed is not shown; to remove is answered also where nothing was.", kTakesAway,
       Removes},
      {"challenge.token", "A token is 1 to 128 characters of base64url; otherwise MALFORMED.", kShows, RefusesTokens},
      {"challenge.contents", "Nothing is shown but the token, a dot and a thumbprint; otherwise MALFORMED.", kShows,
       RefusesOtherContents},
      {"challenge.lifetime-bounds", "A lifetime is from 1 s to 24 h; otherwise MALFORMED.", kShows, BoundsLifetimes},
      {"challenge.lifetime", "The node takes a challenge away by itself when its lifetime is over.", kShows,
       TakesAwayByItself},
      {"challenge.lost-link", "The same when the link over which it came is gone.", kShows, TakesAwayWithoutALink},
      {"challenge.epoch", "Challenges of a lower epoch are refused (STALE_EPOCH).", "link.proto, Command.epoch",
       RefusesALowerEpoch},
      {"challenge.during-install", "It is not part of an install, and may come while one waits for Confirm.", kShows,
       ShowsDuringAnInstall},
      {"challenge.listener", "A listener is there only as long as there is something to show.",
       "link.proto, HttpChallengePlace", ListensOnlyMeanwhile},
  };
}

}  // namespace certcast::conformance
