#include "controller/transport/ssh/session.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

// Best first. SHA-1 and DSA are out.
constexpr std::array<absl::string_view, 5> kHostKeyTypes = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                                            "ecdsa-sha2-nistp521", "ssh-rsa"};
// All are of 128 bits and more. P-256 before X25519: OpenSSH's server has the one in OpenSSL's assembly, the other in
// portable C, where it is a tenth of all that a login costs the host.
constexpr char kKeyExchanges[] =
    "ecdh-sha2-nistp256,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha256,"
    "diffie-hellman-group14-sha256";
// AES with hardware behind it is several times faster than ChaCha20, at both ends.
constexpr char kCiphers[] =
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr";

std::string Algorithms(absl::string_view key_type) {
  return std::string(key_type == "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : key_type);
}

std::string HostKeyAlgorithms(const std::vector<std::string>& preferred, bool only_those) {
  std::vector<std::string> algorithms;
  for (const std::string& type : preferred) {
    if (std::find(kHostKeyTypes.begin(), kHostKeyTypes.end(), type) != kHostKeyTypes.end()) {
      algorithms.push_back(Algorithms(type));
    }
  }
  for (const absl::string_view type : kHostKeyTypes) {
    const bool there = std::find(preferred.begin(), preferred.end(), std::string(type)) != preferred.end();
    if (!there && (!only_those || algorithms.empty())) algorithms.push_back(Algorithms(type));
  }
  return absl::StrJoin(algorithms, ",");
}

bool SetOptions(ssh_session session, const std::string& user, const std::string& host_key_algorithms) {
  const bool no = false;
  const int yes = 1;
  // What libssh would look up by itself where nothing is set: it never does, and must not find anything either.
  return ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no) == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_HOST, "certcast-does-not-look-this-up") == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_USER, user.c_str()) == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, "/dev/null") == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_NODELAY, &yes) == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_KEY_EXCHANGE, kKeyExchanges) == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_HOSTKEYS, host_key_algorithms.c_str()) == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_CIPHERS_C_S, kCiphers) == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_CIPHERS_S_C, kCiphers) == SSH_OK &&
         ssh_options_set(session, SSH_OPTIONS_COMPRESSION, "none") == SSH_OK;
}

absl::StatusOr<SshPublicKey> ShownKey(ssh_session session) {
  ssh_key key = nullptr;
  char* base64 = nullptr;
  SshPublicKey shown;
  const bool have = ssh_get_server_publickey(session, &key) == SSH_OK &&
                    ssh_pki_export_pubkey_base64(key, &base64) == SSH_OK && absl::Base64Unescape(base64, &shown.blob);
  ssh_string_free_char(base64);
  ssh_key_free(key);
  if (!have) return Fail(Reason::PROTOCOL, "the host key can't be read");
  return shown;
}

}  // namespace

SshSession::SshSession(ssh_session session, std::string peer) : session_(session), peer_(std::move(peer)) {
  ssh_set_blocking(session_, 0);
  ssh_set_counters(session_, &counter_, nullptr);
}

SshSession::~SshSession() {
  ssh_channel_free(pump_);
  // Not ssh_disconnect: it leaves a socket open that it was given.
  ssh_free(session_);
}

absl::StatusOr<std::unique_ptr<SshSession>> SshSession::Connect(Descriptor socket, const std::string& peer,
                                                                const std::string& user,
                                                                const std::vector<std::string>& key_types,
                                                                bool only_those, Deadline deadline) {
  const ssh_session raw = ssh_new();
  if (raw == nullptr) return Fail(Reason::PROTOCOL, absl::StrCat(peer, ": libssh has no memory for a session"));
  std::unique_ptr<SshSession> session(new SshSession(raw, peer));
  const int fd = socket.get();
  if (!SetOptions(raw, user, HostKeyAlgorithms(key_types, only_those)) ||
      ssh_options_set(raw, SSH_OPTIONS_FD, &fd) != SSH_OK) {
    return Fail(Reason::PROTOCOL, absl::StrCat(peer, ": libssh refused an option: ", session->Error()));
  }
  // The first call takes it.
  socket.Release();
  absl::StatusOr<int> connected = session->Drive("its SSH handshake", deadline, [&] {
    const int code = ssh_connect(raw);
    // libssh switches it back to blocking once; a send of more than the peer takes would then stop this thread.
    if (code != SSH_ERROR) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return code;
  });
  RETURN_IF_ERROR(connected.status());
  if (*connected != SSH_OK) {
    return Fail(Reason::PROTOCOL, absl::StrCat(peer, " did not complete the SSH handshake: ", session->Error()),
                "is it an SSH server on that port? It may also have had too many connections at once (MaxStartups)");
  }
  absl::StatusOr<SshPublicKey> shown = ShownKey(raw);
  if (!shown.ok()) return Annotate(shown.status(), peer);
  session->host_key_ = *std::move(shown);
  return session;
}

absl::StatusOr<int> SshSession::Drive(absl::string_view awaited, Deadline deadline, const std::function<int()>& step) {
  while (true) {
    const int code = step();
    if (code != SSH_AGAIN) return code;
    // Some calls go on after the other end has hung up.
    if (fd() < 0) return SSH_ERROR;
    RETURN_IF_ERROR(Wait(awaited, deadline));
  }
}

bool SshSession::Pump() {
  if (pump_ == nullptr) pump_ = ssh_channel_new(session_);
  // The only call that takes packets in, writes what is to be written, and does nothing else.
  return pump_ != nullptr && ssh_channel_poll(pump_, 0) != SSH_ERROR;
}

short SshSession::PollEvents() const {
  return static_cast<short>(POLLIN | ((ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) != 0 ? POLLOUT : 0));
}

absl::Status SshSession::Wait(absl::string_view awaited, Deadline deadline) {
  // Also where there is always something: who only talks is not waited for longer than who is silent.
  while (!deadline.IsOver()) {
    pollfd polled = {fd(), PollEvents(), 0};
    const absl::Duration remaining = std::min<absl::Duration>(deadline.Remaining(), absl::Hours(1));
    const int count =
        poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(remaining, absl::Milliseconds(1)))));
    if (count > 0) return absl::OkStatus();
    if (count < 0 && errno != EINTR) return Fail(Reason::LINK_LOST, absl::StrCat(peer_, ": poll failed"));
  }
  return Fail(Reason::TIMED_OUT, absl::StrCat(peer_, ": timed out while waiting for ", awaited));
}

absl::Status SshSession::Lost() const {
  return Fail(Reason::LINK_LOST, absl::StrCat("the connection to ", peer_, " is gone: ", Error()));
}

}  // namespace certcast::controller
