#include "node/http_challenge/http_challenges.h"

#include <unistd.h>

#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "certcast/state/v1/node.pb.h"
#include "common/clock/timestamp.h"
#include "common/file/atomic.h"
#include "common/http_challenge/token.h"
#include "common/http_challenge/webroot.h"
#include "common/listen/listen_address.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

using state::v1::ShownHttpChallenge;

constexpr uint32_t kSchema = 1;
constexpr size_t kMaxRecord = 8192;
constexpr absl::Duration kShortest = absl::Seconds(1);
constexpr absl::Duration kLongest = absl::Hours(24);
constexpr absl::Duration kLookAgain = absl::Seconds(1);

FileAttributes Private(mode_t mode) {
  return {.mode = mode, .owner = geteuid(), .group = getegid()};
}

std::string FolderIn(const std::string& state) {
  return absl::StrCat(state, "/http-challenges");
}

// nullopt: there is none, or it says nothing that can be understood.
absl::StatusOr<std::optional<ShownHttpChallenge>> ReadRecord(Directory& folder, absl::string_view token) {
  const auto bytes = folder.ReadFile(token, kMaxRecord);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  RETURN_IF_ERROR(bytes.status());
  ShownHttpChallenge record;
  if (!record.ParseFromString(*bytes) || record.webroot().empty()) return std::nullopt;
  return record;
}

}  // namespace

HttpChallenges::~HttpChallenges() {
  std::thread thread;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> mine;
  for (const auto& [token, shown] : shown_) {
    if (shown.mine) mine.push_back(token);
  }
  // What can't be removed is noted, for the next start.
  for (const std::string& token : mine) (void)Forget(token);
}

absl::Status HttpChallenges::Put(const HttpChallengePlace& place, const std::string& state,
                                 const Challenge& challenge) {
  RETURN_IF_ERROR(CheckHttpChallenge(challenge.token, challenge.key_authorization));
  if (challenge.lifetime < kShortest || challenge.lifetime > kLongest) {
    return Fail(Reason::MALFORMED, absl::StrCat("the challenge's lifetime is ",
                                                absl::FormatDuration(challenge.lifetime), ", not 1s to 24h"));
  }
  absl::MutexLock lock(&mutex_);
  // Its configuration has become another meanwhile.
  if (const auto shown = shown_.find(challenge.token); shown != shown_.end() && !IsAt(shown->second, place, state)) {
    RETURN_IF_ERROR(Forget(challenge.token));
  }
  if (!shown_.contains(challenge.token) && shown_.size() >= kMaxChallenges) {
    return Fail(Reason::BUSY, absl::StrCat("this node shows ", kMaxChallenges, " challenges already"));
  }
  RETURN_IF_ERROR(place.webroot.empty() ? Listen(place.listen, challenge) : PutFile(place.webroot, state, challenge));
  Note(challenge.token, {.state = state, .webroot = place.webroot, .until = clock_.Now() + challenge.lifetime});
  return absl::OkStatus();
}

bool HttpChallenges::IsAt(const Shown& shown, const HttpChallengePlace& place, const std::string& state) const {
  if (shown.state != state || shown.webroot != place.webroot) return false;
  return !shown.webroot.empty() || listening_on_ == place.listen;
}

absl::Status HttpChallenges::PutFile(const std::string& webroot, const std::string& state, const Challenge& challenge) {
  ShownHttpChallenge record;
  record.set_schema(kSchema);
  record.set_webroot(webroot);
  *record.mutable_remove_after() = ToTimestamp(clock_.Now() + challenge.lifetime);
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> folder,
                   OpenOrMakeDirectory(files_, FolderIn(state), Private(0700)));
  RETURN_IF_ERROR(ReplaceFile(*folder, challenge.token, record.SerializeAsString(), Private(0600)));
  const absl::Status put = ChallengeWebroot(files_, webroot).Put(challenge.token, challenge.key_authorization);
  return put.ok() ? put : KeepFirst(put, RemoveFile(state, challenge.token));
}

absl::Status HttpChallenges::Listen(const std::string& address, const Challenge& challenge) {
  if (listener_ != nullptr && listening_on_ != address) {
    if (!listener_->empty()) {
      return Fail(Reason::BUSY, absl::StrCat("challenges are still shown on ", listening_on_, ", not ", address));
    }
    listener_.reset();
  }
  if (listener_ == nullptr) {
    ASSIGN_OR_RETURN(const HostPort parsed, ParseListenAddress(address));
    ASSIGN_OR_RETURN(listener_, ChallengeListener::Start(parsed));
    listening_on_ = address;
  }
  return listener_->Put(challenge.token, challenge.key_authorization);
}

absl::Status HttpChallenges::Remove(const std::string& state, absl::string_view token) {
  RETURN_IF_ERROR(CheckChallengeToken(token));
  absl::MutexLock lock(&mutex_);
  const auto shown = shown_.find(std::string(token));
  return shown == shown_.end() ? RemoveFile(state, token) : Forget(shown->first);
}

absl::Status HttpChallenges::Forget(const std::string& token) {
  const auto shown = shown_.find(token);
  if (shown->second.webroot.empty()) {
    if (listener_ != nullptr) {
      listener_->Remove(token);
      if (listener_->empty()) listener_.reset();
    }
  } else {
    RETURN_IF_ERROR(RemoveFile(shown->second.state, token));
  }
  shown_.erase(shown);
  return absl::OkStatus();
}

// First the file, then the note of it.
absl::Status HttpChallenges::RemoveFile(const std::string& state, absl::string_view token) {
  const auto folder = files_.OpenDirectory(FolderIn(state));
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  RETURN_IF_ERROR(folder.status());
  ASSIGN_OR_RETURN(const auto record, ReadRecord(**folder, token));
  if (record.has_value()) RETURN_IF_ERROR(ChallengeWebroot(files_, record->webroot()).Remove(token));
  const absl::Status removed = (*folder)->Remove(token);
  if (absl::IsNotFound(removed)) return absl::OkStatus();
  RETURN_IF_ERROR(removed);
  return (*folder)->Sync();
}

absl::Status HttpChallenges::TakeUp(const std::string& state) {
  absl::MutexLock lock(&mutex_);
  const auto folder = files_.OpenDirectory(FolderIn(state));
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  RETURN_IF_ERROR(folder.status());
  ASSIGN_OR_RETURN(const std::vector<std::string> names, (*folder)->List());
  absl::Status first;
  for (const std::string& token : names) {
    // A temporary file of a note that was never made.
    if (!CheckChallengeToken(token).ok()) {
      first = KeepFirst(first, (*folder)->Remove(token));
      continue;
    }
    if (shown_.contains(token)) continue;
    const auto record = ReadRecord(**folder, token);
    const absl::Time until =
        record.ok() && record->has_value() ? FromTimestamp((*record)->remove_after()) : absl::InfinitePast();
    // One that is further away than any may be was noted by a clock that was wrong.
    if (until > clock_.Now() && until <= clock_.Now() + kLongest) {
      Note(token, {.state = state, .webroot = (*record)->webroot(), .until = until, .mine = false});
    } else {
      first = KeepFirst(first, RemoveFile(state, token));
    }
  }
  return first;
}

absl::Status HttpChallenges::RemoveOverdue() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> overdue;
  for (const auto& [token, shown] : shown_) {
    if (shown.until <= clock_.Now()) overdue.push_back(token);
  }
  absl::Status first;
  for (const std::string& token : overdue) first = KeepFirst(first, Forget(token));
  return first;
}

uint16_t HttpChallenges::listening_port() const {
  absl::MutexLock lock(&mutex_);
  return listener_ == nullptr ? 0 : listener_->port();
}

void HttpChallenges::Note(const std::string& token, Shown shown) {
  shown_[token] = std::move(shown);
  if (thread_.joinable()) return;
  try {
    thread_ = std::thread([this] { Watch(); });
  } catch (const std::system_error&) {
    // The machine has no thread for it now: the next challenge tries again, and the next start looks as well.
  }
}

void HttpChallenges::Watch() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &HttpChallenges::HasWork));
      if (mutex_.AwaitWithTimeout(absl::Condition(this, &HttpChallenges::IsEnding), kLookAgain)) return;
    }
    // Tried again in a second.
    (void)RemoveOverdue();
  }
}

}  // namespace certcast::node
