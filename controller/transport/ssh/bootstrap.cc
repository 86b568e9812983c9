#include "controller/transport/ssh/bootstrap.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/clock/clock.h"
#include "common/link/preface.h"
#include "common/status/status.h"

namespace certcast::controller {

// Within the quotes of the outer shell there may be no quote, backslash, line end or exclamation mark (csh). What the
// inner shell does, a line each:
//   says that it is there, after whatever a profile may have printed without a line end, which IFS has (one write is
//   one message); reads its four lines
//   makes the directory (those above it so that others get through: services read files below them), enters it, and
//     refuses one that others could have put something into
//   has the binary: by its name, which holds its digest, and its size (an upload that was cut has another name); both
//     sizes and modes are of one ls, nine words a line, which is most of what this costs where nothing is to be done;
//     and by its contents where it is told to look at them
//   else takes it: to a file of its own, where programs may run; checked and tried before it gets its name
//   leaves a name that stays the same beside it (for systemd units), and removes what is older; also when an upload was
//     ended in the middle of that
//   becomes the agent, with the login's own umask, which is another only where something is made: what the services'
//   commands make is not the agent's affair
const char kBootstrapCommand[] =
    "/bin/sh -c '"
    "set -f; LC_ALL=C; export LC_ALL; f() { echo failed $*; exit 1; }; "
    "echo \"${IFS}certcast-bootstrap 1\"; IFS= read -r d && read -r h && read -r n && read -r s k || exit 1; "
    "[ -d \"$d\" ] || e=$({ (umask 022; mkdir -p \"${d%/*}\") && umask 077 && mkdir \"$d\"; } 2>&1) || [ -d \"$d\" ] "
    "|| "
    "f \"directory: $e\"; "
    "cd -P \"$d\" || f \"directory: $d can not be entered\"; p=$PWD; b=certcast-node-$h; "
    "[ -O . ] || f \"directory: $p belongs to another user\"; "
    "set -- $(BLOCK_SIZE=1 LS_BLOCK_SIZE=1 TIME_STYLE=locale ls -ldn . $b 2>/dev/null); "
    "case $1 in d????w*|d???????w*) f \"directory: $p can be written to by others\";; d*) ;; "
    "*) f \"tools: there is no ls\";; esac; "
    "if [ -f $b ] && [ -x $b ] && [ \"${14}\" = \"$n\" ] && "
    "{ [ -z \"$k\" ] || [ \"$(sha256sum <$b)\" = \"$h  -\" ]; }; "
    "then echo \"have $p\"; else u=$(umask); umask 077; "
    "for c in head mktemp sha256sum uname wc; do command -v $c >/dev/null || f \"tools: there is no $c\"; done; "
    "t=$(mktemp ./upload.XXXXXXXXXX 2>&1) || f \"write: in $p: $t\"; "
    "trap \"rm -f $t\" 0; trap \"exit 1\" 1 2 13 15; "
    "chmod 700 $t || f \"write: in $p: no mode can be set\"; [ -x $t ] || f \"noexec: programs may not run in $p\"; "
    "echo need $(uname -s -m) $(readlink certcast-node 2>/dev/null); read -r a && [ \"$a\" = upload ] || exit 0; "
    "e=$({ head -c $n >$t; } 2>&1) || f \"write: in $p: $e\"; "
    "[ \"$(wc -c <$t)\" -eq $n ] || f \"cut: the upload ended too early\"; "
    "[ \"$(sha256sum <$t)\" = \"$h  -\" ] || f \"digest: what came is not what was sent\"; "
    "sync $t 2>/dev/null || sync; e=$($t --version 2>&1 </dev/null) || f \"run: $e\"; "
    "case $e in certcast-node\" \"*) ;; *) f \"foreign: what was sent is no certcast-node, its version is: $e\";; "
    "esac; "
    "mv -f $t $b && ln -s $b $t && mv -f $t certcast-node || f \"write: in $p: renaming failed\"; trap - 0; "
    "find . -name \"upload.*\" -mtime +0 -exec rm -f {} + 2>/dev/null; echo \"stored $p\"; umask $u; fi; "
    "[ certcast-node -ef $b ] || ln -sf $b certcast-node; "
    "set +f; for o in certcast-node-*; do [ $o = $b ] || rm -f $o; done; "
    "if [ \"$s\" = sudo ]; then exec sudo -n \"$p/$b\" stdio; else exec \"$p/$b\" stdio; fi"
    "'";

namespace {

constexpr absl::string_view kBootstrapMarker = "certcast-bootstrap 1";
// Without its end.
constexpr absl::string_view kLinkMarker(kLinkPreface, sizeof kLinkPreface - 2);
// What a login may print before either program speaks.
constexpr size_t kMaxNoise = size_t{64} * 1024;
constexpr size_t kMaxLine = size_t{8} * 1024;
// Of a SHA-256 in hex.
constexpr size_t kDigestLength = 64;
// Of an upload, between two looks at how it gets on.
constexpr size_t kUploadPiece = size_t{256} * 1024;
// For the host to check, sync and start what came.
constexpr absl::Duration kToStore = absl::Minutes(1);
constexpr absl::Duration kToStart = absl::Seconds(30);
constexpr absl::Duration kToExit = absl::Seconds(2);
constexpr double kMegabyte = 1e6;
// Of a shell: found but not executable, not found.
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// What sudo itself says where it does not run a command. Warnings, which it says of a host without a name and in
// containers, are none; "unable to execute" and "command not found" are about the command.
bool SudoRefuses(absl::string_view error_output) {
  for (absl::string_view line : absl::StrSplit(error_output, '\n')) {
    if (absl::StartsWith(line, "Sorry, user ") || absl::StrContains(line, "is not in the sudoers file")) return true;
    if (!absl::ConsumePrefix(&line, "sudo: ")) continue;
    const bool is_other = absl::StartsWith(line, "unable to resolve host ") ||
                          absl::StartsWith(line, "unable to execute ") || absl::StartsWith(line, "setrlimit") ||
                          absl::StrContains(line, "command not found");
    if (!is_other) return true;
  }
  return false;
}

// Takes the name of the binary that is there instead off the end of "SYSTEM MACHINE NAME", and gives the digest in it.
std::string TakePrevious(absl::string_view& host) {
  const std::vector<absl::string_view> words = absl::StrSplit(host, ' ');
  absl::string_view name = words.back();
  if (words.size() < 3 || !absl::ConsumePrefix(&name, "certcast-node-")) return {};
  host.remove_suffix(words.back().size() + 1);
  const bool is_digest = name.size() == kDigestLength && std::all_of(name.begin(), name.end(), absl::ascii_isxdigit);
  return is_digest ? std::string(name) : std::string();
}

// The dialogue, until the agent runs.
class Dialogue {
 public:
  Dialogue(ByteChannel& channel, ChannelReader& reader, const BootstrapOptions& options, Deadline deadline)
      : channel_(channel), reader_(reader), options_(options), deadline_(deadline) {}

  absl::StatusOr<AgentOnHost> Run();

 private:
  // Skips what comes before a line that ends with one of them (without an end of its own, noise may stand before it),
  // and gives that one.
  absl::StatusOr<absl::string_view> AwaitMarker(const std::vector<absl::string_view>& markers);
  absl::Status TooMuchNoise() const;
  // One line of the script's; what it says of a failure is the error.
  absl::StatusOr<std::string> ReadAnswer(Deadline deadline);
  // By the word that such a line begins with.
  std::string HintFor(absl::string_view what) const;
  // To what has no room here, or not the rights.
  std::string OtherDirectory() const;
  absl::Status CheckMachine(absl::string_view host, const AgentBinary& binary) const;
  absl::Status Upload(const AgentBinary& binary);
  // Nothing more comes, and no marker came.
  absl::Status Ended();
  // The same, by who was to speak; `code` is 0 where it is not known.
  absl::Status AgentEnded(const std::string& how, int code) const;
  absl::Status LoginEnded(const std::string& how, int code) const;

  ByteChannel& channel_;
  ChannelReader& reader_;
  const BootstrapOptions& options_;
  Deadline deadline_;
  std::string noise_;
  // Of the binaries, as the host calls it.
  std::string directory_;
  // Its own, once it is known.
  size_t size_ = 0;
  bool started_agent_ = false;
  bool uploaded_ = false;
};

absl::StatusOr<AgentOnHost> Dialogue::Run() {
  AgentOnHost agent;
  ASSIGN_OR_RETURN(const absl::string_view first, AwaitMarker({kBootstrapMarker, kLinkMarker}));
  if (first == kLinkMarker) {
    agent.state = AgentOnHost::State::kOwn;
    return agent;
  }
  noise_.clear();
  ASSIGN_OR_RETURN(const std::shared_ptr<const AgentBinary> binary, options_.binary());
  agent.sha256 = binary->sha256;
  size_ = binary->size;
  RETURN_IF_ERROR(
      channel_.Write(absl::StrCat(options_.directory, "\n", binary->sha256, "\n", binary->size, "\n",
                                  options_.sudo ? "sudo" : "-", options_.check_contents ? " check" : "", "\n"),
                     deadline_));
  ASSIGN_OR_RETURN(const std::string answer, ReadAnswer(deadline_));
  absl::string_view host = answer;
  if (absl::ConsumePrefix(&host, "need ")) {
    agent.previous_sha256 = TakePrevious(host);
    // Damaged: there was none.
    if (agent.previous_sha256 == binary->sha256) agent.previous_sha256.clear();
    RETURN_IF_ERROR(CheckMachine(host, *binary));
    agent.state = options_.may_upload ? AgentOnHost::State::kUploaded : AgentOnHost::State::kMissing;
    // The script ends with its input, and leaves nothing.
    if (!options_.may_upload) return agent;
    RETURN_IF_ERROR(Upload(*binary));
    uploaded_ = true;
    deadline_ = Deadline::In(kToStart);
  } else if (absl::ConsumePrefix(&host, "have ")) {
    directory_ = std::string(host);
  } else {
    return Fail(Reason::PROTOCOL, absl::StrCat(channel_.peer(), " answered what is no answer: ", answer));
  }
  started_agent_ = true;
  RETURN_IF_ERROR(AwaitMarker({kLinkMarker}).status());
  return agent;
}

absl::StatusOr<absl::string_view> Dialogue::AwaitMarker(const std::vector<absl::string_view>& markers) {
  while (true) {
    absl::StatusOr<std::optional<std::string>> line = reader_.ReadLine(kMaxNoise - noise_.size(), deadline_);
    if (ReasonOf(line.status()) == Reason::TIMED_OUT && !(noise_.empty() && reader_.pending().empty())) {
      return Annotate(line.status(), absl::StrCat("no agent answered, but it said: ",
                                                  absl::StrCat(noise_, reader_.pending()).substr(0, 200)));
    }
    if (ReasonOf(line.status()) == Reason::PROTOCOL) return TooMuchNoise();
    RETURN_IF_ERROR(line.status());
    if (!line->has_value()) return Ended();
    for (const absl::string_view marker : markers) {
      if (absl::EndsWith(**line, marker)) return marker;
    }
    // Empty lines are never too long, but there may be too many.
    if (noise_.size() >= kMaxNoise) return TooMuchNoise();
    absl::StrAppend(&noise_, **line, "\n");
    noise_.resize(std::min(noise_.size(), kMaxNoise));
  }
}

absl::Status Dialogue::TooMuchNoise() const {
  return Fail(Reason::PROTOCOL,
              absl::StrCat(channel_.peer(), " sent more than ", kMaxNoise,
                           " bytes, and no agent among them: ", absl::StrCat(noise_, reader_.pending()).substr(0, 200)),
              "does the login run something else?");
}

absl::StatusOr<std::string> Dialogue::ReadAnswer(Deadline deadline) {
  ASSIGN_OR_RETURN(const std::optional<std::string> line, reader_.ReadLine(kMaxLine, deadline));
  if (!line.has_value()) return Ended();
  absl::string_view text = *line;
  if (!absl::ConsumePrefix(&text, "failed ")) return *line;
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits(": ", 1));
  return WithStderr(
      Fail(Reason::NO_AGENT_BINARY, absl::StrCat("certcast-node can't be put on ", channel_.peer(), ": ", parts.second),
           HintFor(parts.first)),
      channel_.error_output());
}

std::string Dialogue::HintFor(absl::string_view what) const {
  if (what == "directory") {
    return absl::StrCat(
        "the login must be able to make this directory, and nobody else may write to it: ", OtherDirectory(),
        options_.sudo ? "" : ", or have the agent run as root with ssh: {sudo: true}");
  }
  if (what == "noexec") return absl::StrCat("it is mounted noexec: ", OtherDirectory());
  if (what == "tools") return "the host needs coreutils or busybox";
  if (what == "write") {
    return absl::StrFormat("certcast-node needs %.1f MB there: is the disk full, over quota or read-only? Else %s",
                           static_cast<double>(size_) / kMegabyte, OtherDirectory());
  }
  if (what == "run") return "the static certcast-node runs on Linux 3.2 and later";
  if (what == "foreign") return "agent_binary must name the static certcast-node that came with this certcast";
  return "";
}

std::string Dialogue::OtherDirectory() const {
  return absl::StrCat(options_.sudo ? "name" : "name another `state`, or", " another directory for the agent, one of ",
                      options_.user, " alone: ssh: {agent_directory: ...}");
}

absl::Status Dialogue::CheckMachine(absl::string_view host, const AgentBinary& binary) const {
  const std::string wanted = absl::StrCat("Linux ", binary.machine);
  if (host == wanted) return absl::OkStatus();
  return Fail(Reason::NO_AGENT_BINARY,
              absl::StrCat(channel_.peer(), " is ", host, ", but ", binary.path, " runs on ", wanted),
              "give the node's entry an agent_binary for its machine: ssh: {agent_binary: ...}");
}

absl::Status Dialogue::Upload(const AgentBinary& binary) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const std::string> contents, options_.contents(binary));
  const absl::Duration start = Clock::Real().Monotonic();
  absl::Status sent = channel_.Write("upload\n", Deadline::In(options_.longest_stall));
  absl::string_view rest = *contents;
  while (sent.ok() && !rest.empty()) {
    const absl::string_view piece = rest.substr(0, kUploadPiece);
    sent = channel_.Write(piece, Deadline::In(options_.longest_stall));
    rest.remove_prefix(piece.size());
  }
  if (ReasonOf(sent) == Reason::TIMED_OUT) {
    return Fail(Reason::TIMED_OUT,
                absl::StrCat("after ", contents->size() - rest.size(), " of ", contents->size(),
                             " bytes of certcast-node: ", FailureOf(sent).detail()),
                "where the line is thin, upload to few hosts at a time, ahead of the rollout: certcast nodes upgrade "
                "--parallel 4");
  }
  // A host that stops to read has said why. Else the last of it, as much as a window holds, may still be on its way.
  const absl::Duration taken = Clock::Real().Monotonic() - start;
  const absl::StatusOr<std::string> answer = ReadAnswer(Deadline::In(sent.ok() ? taken + kToStore : kToExit));
  if (!answer.ok() && (sent.ok() || ReasonOf(answer.status()) == Reason::NO_AGENT_BINARY)) return answer.status();
  RETURN_IF_ERROR(sent);
  absl::string_view stored = *answer;
  if (absl::ConsumePrefix(&stored, "stored ")) {
    directory_ = std::string(stored);
    return absl::OkStatus();
  }
  return Fail(Reason::PROTOCOL, absl::StrCat(channel_.peer(), " answered what is no answer: ", *answer));
}

absl::Status Dialogue::Ended() {
  const std::optional<int> exit = channel_.AwaitExit(deadline_.ButWithin(kToExit));
  const int code = exit.value_or(0);
  const std::string how = exit.has_value() ? absl::StrCat("exited with ", *exit) : "ended";
  return WithStderr(started_agent_ ? AgentEnded(how, code) : LoginEnded(how, code), channel_.error_output());
}

absl::Status Dialogue::AgentEnded(const std::string& how, int code) const {
  const std::string& error = channel_.error_output();
  const bool no_sudo = code == kNotFound && absl::StrContains(error, "sudo: not found");
  if (options_.sudo && (no_sudo || SudoRefuses(error))) {
    return Fail(Reason::SUDO_REFUSED,
                absl::StrCat("`sudo -n` on ", channel_.peer(), " did not start certcast-node: it ", how),
                no_sudo ? "install sudo there, or log in as root"
                        : absl::StrCat("allow it without a password, in sudoers, behind what else is there for that "
                                       "user: ",
                                       options_.user, " ALL=(root) NOPASSWD: ", directory_, "/certcast-node-* stdio"));
  }
  if (options_.in_doubt != nullptr) *options_.in_doubt = !uploaded_ && !options_.check_contents;
  std::string hint;
  if (code == kNotExecutable || code == kNotFound)
    hint = "is its directory mounted noexec, or is it for another machine?";
  if (options_.sudo && absl::StrContains(error, "command not found")) {
    hint = absl::StrCat("root does not see ", directory_, ", as with a home on NFS: ", OtherDirectory());
  }
  return Fail(Reason::NO_AGENT_BINARY,
              absl::StrCat("certcast-node does not run on ", channel_.peer(), options_.sudo ? " by sudo: it " : ": it ",
                           how, options_.check_contents ? ", though it is there as it was sent" : ""),
              hint);
}

absl::Status Dialogue::LoginEnded(const std::string& how, int code) const {
  const std::string& error = channel_.error_output();
  const std::string said = absl::StrCat(noise_, reader_.pending()).substr(0, 200);
  // A command of its own that the login is tied to.
  if (SudoRefuses(error)) {
    return Fail(
        Reason::SUDO_REFUSED,
        absl::StrCat("the login to ", channel_.peer(), " is tied to a command by sudo, which did not start it: it ",
                     how),
        absl::StrCat("is that certcast-node there? Allow it without a password, in sudoers, behind what else is "
                     "there for that user: ",
                     options_.user, " ALL=(root) NOPASSWD: /usr/local/sbin/certcast-node stdio"));
  }
  if (code == kNotExecutable || code == kNotFound || absl::StrContains(error, "command not found")) {
    return Fail(Reason::NO_AGENT_BINARY,
                absl::StrCat("the login to ", channel_.peer(),
                             " is tied to a command that is not there or does not run: it ", how),
                "install certcast-node where the key's forced command in authorized_keys has it");
  }
  return Fail(Reason::PROTOCOL,
              absl::StrCat(channel_.peer(), " logged in, but its shell ", how,
                           " before an agent spoke; it said: ", said.empty() ? "nothing" : said),
              "the login shell must run `/bin/sh -c`, or the key's forced command must be `certcast-node stdio`");
}

}  // namespace

absl::StatusOr<AgentOnHost> Bootstrap(ByteChannel& channel, ChannelReader& reader, const BootstrapOptions& options,
                                      Deadline deadline) {
  return Dialogue(channel, reader, options, deadline).Run();
}

}  // namespace certcast::controller
