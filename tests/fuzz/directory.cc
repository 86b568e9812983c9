// What a CA answers before there is an order: its directory, nonces, a new account, and renewal information; with the
// headers that matter. The account is really made, in memory, so that whatever a CA says comes to where it is used.
#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/jose.h"
#include "controller/acme/links.h"
#include "controller/acme/renewal_info.h"
#include "controller/acme/trace.h"
#include "tests/fuzz/target.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_http_client.h"
#include "tests/testing/fake_sealer.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/test_ca.h"

namespace certcast::fuzz {
namespace {

using namespace controller;

constexpr char kDirectoryUrl[] = "https://ca.test/directory?action=enroll";
constexpr char kGoodDirectory[] = R"({"newNonce":"https://ca.test/nonce","newAccount":"https://ca.test/account",
 "newOrder":"https://ca.test/order","renewalInfo":"https://ca.test/renewal",
 "meta":{"termsOfService":"https://ca.test/terms","profiles":{"tlsserver":"for servers"}}})";
// What one call may wait for in all: two pauses of at most 10 s.
constexpr absl::Duration kLongestWait = absl::Seconds(25);
// The directory, a nonce and a request, each three times; and requests whose nonce is refused.
constexpr int kMostExchanges = 3 * AcmeClient::kMaxNonceTries + 12;

// An input: status and headers of the directory, and its body; the same of every other answer.
HttpResponse TakeAnswer(InputReader& reader) {
  constexpr int kStatuses[] = {200, 201, 204, 400, 403, 429, 500, 503};
  HttpResponse response;
  response.status = kStatuses[reader.Byte() % std::size(kStatuses)];
  const std::vector<std::string> lines = absl::StrSplit(reader.Piece(), '\n');
  for (const std::string& line : lines) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  response.body = std::string(reader.Piece());
  return response;
}

std::string AnswerOf(int status_index, absl::string_view headers, absl::string_view body) {
  return absl::StrCat(std::string(1, static_cast<char>(status_index)), PieceOf(headers), PieceOf(body));
}

bool IsPlainText(absl::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return std::iscntrl(static_cast<unsigned char>(c)) != 0 && c != '\n' && c != '\t';
  });
}

class FuzzedCa {
 public:
  explicit FuzzedCa(absl::string_view input) {
    InputReader reader(input);
    directory_ = TakeAnswer(reader);
    other_ = TakeAnswer(reader);
  }

  void AskDirectory() {
    AcmeClient client(http_, clock_, server_);
    const absl::StatusOr<AcmeDirectory> directory = client.GetDirectory();
    RequireOrderly(directory.status());
    if (!directory.ok()) return;
    Require(!directory->new_nonce.empty() && !directory->new_account.empty() && !directory->new_order.empty(),
            "a directory has what an order needs");
    const int exchanges = http_.exchanges();
    Require(client.GetDirectory().ok() && http_.exchanges() == exchanges, "a directory is fetched once");
  }

  void MakeAccount(bool agreed) {
    AcmeClient client(http_, clock_, server_);
    testing::MemoryStore store;
    testing::FakeSealer sealer;
    AccountConfig config;
    config.name = "ca";
    config.directory = kDirectoryUrl;
    config.terms_of_service_agreed = agreed;
    const AcmeAccount::Keep keep{.store = store, .sealer = sealer, .clock = clock_};
    const absl::StatusOr<AcmeAccount> account = AcmeAccount::FindOrCreate(client, config, keep);
    RequireOrderly(account.status());
    if (account.ok()) Require(IsPlainUrl(account->record().account_url()), "an account has a URL");
    const auto registered = AcmeAccount::FindRegistered(client, config, keep);
    Require(registered.ok() && registered->has_value() == account.ok(), "what the CA knows is in the store");
  }

  void AskWhenToRenew() {
    static const testing::IssuedCertificate leaf = testing::TestCa::Root().Issue({.dns_names = {"www.example.com"}});
    AcmeClient client(http_, clock_, server_);
    const absl::StatusOr<std::optional<RenewalAnswer>> answer = AskRenewalInfo(client, clock_, leaf.certificate);
    RequireOrderly(answer.status());
    if (!answer.ok() || !answer->has_value()) return;
    const absl::Duration wait = (*answer)->next_check - clock_.Now();
    Require(wait >= absl::Minutes(1) && wait <= absl::Hours(24), "a CA is asked between a minute and a day later");
    Require((*answer)->window.start < (*answer)->window.end, "a window has a length");
  }

  // Of all that was asked.
  void CheckRequests() {
    Require(http_.exchanges() <= 3 * kMostExchanges, "requests are bounded");
    Require(clock_.slept() <= 12 * kLongestWait, "waiting is bounded");
    for (const HttpRequest& request : http_.requests()) {
      const std::string trace = DescribeExchange(request, other_, clock_.Now(), absl::Seconds(1));
      Require(IsPlainText(trace), "a transcript can be read on a terminal");
      if (request.method == "POST") CheckSigned(request, trace);
    }
  }

 private:
  static void CheckSigned(const HttpRequest& request, const std::string& trace) {
    const auto body = nlohmann::json::parse(request.body, nullptr, /*allow_exceptions=*/false);
    Require(body.is_object(), "a request is JSON");
    const auto decoded = Base64UrlDecode(body.value("protected", ""));
    Require(decoded.ok(), "a header is base64url");
    const auto header = nlohmann::json::parse(*decoded, nullptr, /*allow_exceptions=*/false);
    Require(header.is_object() && IsBase64Url(header.value("nonce", "")), "a nonce is base64url");
    const std::string signature = body.value("signature", "");
    Require(IsBase64Url(signature) && trace.find(signature) == std::string::npos, "no signature is in a transcript");
  }

  const AcmeClient::Server server_ = {.directory_url = kDirectoryUrl};
  testing::FakeClock clock_;
  HttpResponse directory_;
  HttpResponse other_;
  testing::FakeHttpClient http_{
      [this](const HttpRequest& request) { return request.url == kDirectoryUrl ? directory_ : other_; }};
};

}  // namespace

std::vector<Seed> Seeds() {
  const std::string good = AnswerOf(0, "content-type: application/json", kGoodDirectory);
  const std::string nonce = "replay-nonce: abc-_\nlocation: https://ca.test/account/1\n";
  return {
      {.name = "account", .bytes = good + AnswerOf(1, nonce, R"({"status":"valid"})")},
      {.name = "renewal",
       .bytes =
           good + AnswerOf(0, nonce + "retry-after: 86400\nlink: <https://ca.test/1>;rel=\"alternate\"",
                           R"({"suggestedWindow":{"start":"2030-01-02T04:00:00Z","end":"2030-01-03T04:00:00Z"}})")},
      {.name = "bad-nonce",
       .bytes = good + AnswerOf(3, nonce, R"({"type":"urn:ietf:params:acme:error:badNonce","detail":"no"})")},
      {.name = "later", .bytes = good + AnswerOf(7, nonce + "retry-after: Tue, 01 Jan 2030 00:00:09 GMT", "")},
      {.name = "no-account-url", .bytes = good + AnswerOf(1, "replay-nonce: abc", "{}")},
      {.name = "external-account",
       .bytes = AnswerOf(0, "", R"({"newNonce":"n","newAccount":"a","newOrder":"o",
         "meta":{"externalAccountRequired":true}})") +
                AnswerOf(0, nonce, "{}")},
      {.name = "no-directory", .bytes = AnswerOf(0, "", R"({"newNonce":1,"newAccount":[]})") + AnswerOf(0, "", "")},
      {.name = "down", .bytes = AnswerOf(7, "retry-after: 3", "<html>503</html>") + AnswerOf(0, "", "")},
  };
}

void TryInput(absl::string_view input) {
  FuzzedCa ca(input);
  ca.AskDirectory();
  ca.MakeAccount(/*agreed=*/true);
  ca.MakeAccount(/*agreed=*/false);
  ca.AskWhenToRenew();
  ca.CheckRequests();
}

}  // namespace certcast::fuzz
