#include "controller/acme/http01_look.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/http_challenge/token.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

using Challenge = state::v1::PresentedChallenge;

// For one request, and for all of them.
constexpr absl::Duration kRequestTimeout = absl::Seconds(5);
constexpr absl::Duration kTimeAllowed = absl::Seconds(10);
constexpr size_t kMaxRedirects = 10;
constexpr size_t kMaxLocation = 2048;
// Of a URL: what was wrong comes after them, and has its place in a line of kMaxLine bytes.
constexpr size_t kShown = 64;
constexpr uint16_t kHttpPort = 80;
constexpr uint16_t kHttpsPort = 443;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};

absl::Status Failed(absl::string_view what) {
  return Fail(Reason::CHALLENGE_FAILED, what);
}

std::string Shown(absl::string_view url) {
  return absl::StrCat(absl::CHexEscape(url.substr(0, kShown)), url.size() > kShown ? "..." : "");
}

absl::Status NotFollowed(absl::string_view location, absl::string_view why) {
  return Failed(absl::StrCat("it sends to \"", Shown(location), "\", which can't be followed: ", why));
}

// The URL that an answer to `base` means by this Location (RFC 9110 section 10.2.2), of any scheme.
absl::StatusOr<std::string> Resolve(const std::string& base, const std::string& location) {
  if (location.size() > kMaxLocation) {
    return NotFollowed(location, absl::StrCat("it is longer than ", kMaxLocation, " bytes"));
  }
  if (absl::StrContains(location, '\0')) return NotFollowed(location, "it has a NUL in it");
  const std::string reference = location.substr(0, location.find('#'));
  // curl 7.88 takes the folder here.
  if (reference.empty()) return base;
  const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0);
  if (code == CURLUE_OK) {
    code = curl_url_set(url.get(), CURLUPART_URL, reference.c_str(),
                        CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE | CURLU_ALLOW_SPACE);
  }
  char* text = nullptr;
  if (code == CURLUE_OK) code = curl_url_get(url.get(), CURLUPART_URL, &text, 0);
  const std::unique_ptr<char, FreeText> owner(text);
  if (code != CURLUE_OK) return NotFollowed(location, curl_url_strerror(code));
  return std::string(text);
}

// How `url` is asked, with `server` in place of the domain.
absl::StatusOr<HttpProbe> ProbeOf(const std::string& url, const HostPort& server, const Challenge& challenge) {
  if (!absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://")) {
    return Failed("CAs follow to http and https only");
  }
  const absl::StatusOr<Url> parsed = ParseUrl(url);
  if (!parsed.ok()) return Failed(parsed.status().message());
  const uint16_t port = parsed->to.port;
  const bool is_own = absl::EqualsIgnoreCase(parsed->to.host, challenge.domain());
  if (port != kHttpPort && port != kHttpsPort && !(is_own && port == server.port)) {
    return Failed("CAs follow to ports 80 and 443 only");
  }
  HttpProbe probe = {
      .url = url,
      .status = 200,
      // White space at its end does not matter (RFC 8555 section 8.3).
      .body = {
          .kind = BodyPattern::Kind::kMatches,
          .text = absl::StrCat("\\A", absl::StrReplaceAll(challenge.key_authorization(), {{".", "\\."}}), "\\s*\\z")}};
  if (is_own) {
    const HostPort at = {.host = server.host, .port = port == kHttpPort ? server.port : port};
    probe.url = absl::StrCat(parsed->is_https ? "https://" : "http://", at.ToString(), parsed->path);
    probe.host = parsed->authority;
  }
  return probe;
}

// From the first of `urls`, to which it adds where it is sent.
absl::Status Follow(Prober& prober, Clock& clock, const HostPort& server, const Challenge& challenge,
                    std::vector<std::string>& urls) {
  const absl::Duration end = clock.Monotonic() + kTimeAllowed;
  while (true) {
    ASSIGN_OR_RETURN(const HttpProbe probe, ProbeOf(urls.back(), server, challenge));
    const Observation seen = prober.Look({.what = probe}, std::min(kRequestTimeout, end - clock.Monotonic()));
    if (seen.ok) return absl::OkStatus();
    if (seen.location.empty()) return Failed(seen.detail);
    if (urls.size() > kMaxRedirects) return Failed(absl::StrCat("it sends on more than ", kMaxRedirects, " times"));
    ASSIGN_OR_RETURN(const std::string next, Resolve(urls.back(), seen.location));
    const bool is_circle = std::find(urls.begin(), urls.end(), next) != urls.end();
    urls.push_back(next);
    if (is_circle) return Failed("it sends in a circle");
  }
}

}  // namespace

absl::Status LookForToken(Prober& prober, Clock& clock, const HostPort& server, const Challenge& challenge) {
  const std::string path = absl::StrCat(kChallengePath, challenge.token());
  std::vector<std::string> urls = {absl::StrCat("http://", challenge.domain(), path)};
  const absl::Status seen = Follow(prober, clock, server, challenge, urls);
  std::string way = absl::StrCat(server.ToString(), " for ", challenge.domain());
  for (size_t i = 1; i < urls.size(); ++i) {
    absl::string_view url = urls[i];
    const bool is_same_path = absl::ConsumeSuffix(&url, path);
    absl::StrAppend(&way, " -> ", Shown(url), is_same_path ? "/..." : "");
  }
  return Annotate(seen, way);
}

}  // namespace certcast::controller
