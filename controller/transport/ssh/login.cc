#include "controller/transport/ssh/login.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"
#include "controller/transport/ssh/host_certificate.h"
#include "controller/transport/ssh/public_key.h"

namespace certcast::controller {
namespace {

// Of the key or the certificate inside; empty when it can't be had.
SshPublicKey PublicOf(ssh_key key) {
  SshPublicKey result;
  char* base64 = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &base64) == SSH_OK) absl::Base64Unescape(base64, &result.blob);
  ssh_string_free_char(base64);
  return result;
}

// libssh takes strings that end with a NUL.
Secret Terminated(absl::string_view text, absl::string_view end) {
  Secret result = Secret::OfSize(text.size() + end.size() + 1);
  std::memcpy(result.MutableBytes(), text.data(), text.size());
  std::memcpy(result.MutableBytes() + text.size(), end.data(), end.size());
  return result;
}

absl::StatusOr<SshKeyPtr> ReadKey(const SshLogin& login) {
  ASSIGN_OR_RETURN(const Secret text, ReadSecret(login.key));
  Secret passphrase;
  if (!login.passphrase.empty()) {
    ASSIGN_OR_RETURN(const Secret read, ReadSecret(login.passphrase));
    passphrase = Terminated(read.ExposeSecret(), "");
  }
  // ReadSecret took the end of its last line away.
  Secret key_text = Terminated(text.ExposeSecret(), "\n");
  ssh_key key = nullptr;
  const int code = ssh_pki_import_privkey_base64(
      key_text.MutableBytes(), passphrase.empty() ? nullptr : passphrase.MutableBytes(), nullptr, nullptr, &key);
  SshKeyPtr owned(key);
  if (code == SSH_OK) return owned;
  if (passphrase.empty()) {
    return Fail(
        Reason::AUTH_FAILED, absl::StrCat("the SSH key in ", login.key.Describe(), " can't be read"),
        "is it a private key? If it has a passphrase, say where that is: key: {file: ..., passphrase: {file: ...}}");
  }
  return Fail(Reason::AUTH_FAILED,
              absl::StrCat("the SSH key in ", login.key.Describe(), " does not open with the passphrase in ",
                           login.passphrase.Describe()),
              "try both by hand: ssh-keygen -y -f KEY");
}

// Of this key. What is wrong with it by itself goes to `note`: it is told when a server refuses it.
absl::StatusOr<SshKeyPtr> ReadCertificate(const std::string& file, ssh_key key, std::string& note) {
  ssh_key read = nullptr;
  const int code = ssh_pki_import_cert_file(file.c_str(), &read);
  SshKeyPtr certificate(read);
  if (code != SSH_OK) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat("the SSH certificate ", file, " can't be read"),
                "it is what `ssh-keygen -s` wrote: KEY-cert.pub");
  }
  const absl::StatusOr<SshCertificate> parsed = ParseSshCertificate(PublicOf(read).blob);
  if (parsed.ok() && !(parsed->key == PublicOf(key))) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat("the SSH certificate ", file, " is for another key: ",
                                                  parsed->key.Fingerprint(), ", not ", PublicOf(key).Fingerprint()));
  }
  if (parsed.ok() && parsed->kind != SshCertificate::Kind::kUser) note = " is not one for users";
  if (parsed.ok() && absl::Now() >= parsed->valid_before) note = " has expired";
  if (parsed.ok() && absl::Now() < parsed->valid_after) note = " is not valid yet";
  if (!note.empty()) note = absl::StrCat(file, note);
  return certificate;
}

absl::StatusOr<Descriptor> ConnectToAgent(const std::string& path) {
  const std::string doing = absl::StrCat("the ssh-agent at ", path);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat(doing, ": the path is too long for a socket"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  // Not waiting: one that does not accept at once has a full queue. What it is asked later, it answers in its time.
  Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Fail(Reason::AUTH_FAILED, FailureOf(FailErrno(errno, doing)).detail(),
                "is it running? SSH_AUTH_SOCK must be set for the program that certcast runs in");
  }
  return fd;
}

// libssh waits for an agent without end (agents ask people, too): this one hangs up when the time is over.
class AgentTimer {
 public:
  AgentTimer(int agent, Deadline deadline)
      : fd_(fcntl(agent, F_DUPFD_CLOEXEC, 0)), thread_([this, deadline] {
          if (!done_.WaitForNotificationWithTimeout(deadline.Remaining())) shutdown(fd_.get(), SHUT_RDWR);
        }) {}
  ~AgentTimer() {
    done_.Notify();
    thread_.join();
  }

 private:
  const Descriptor fd_;
  absl::Notification done_;
  std::thread thread_;
};

}  // namespace

std::string SshLogin::Identity() const {
  const std::string optional = agent_may_have_key ? "optional" : "";
  return absl::StrJoin({key.Describe(), optional, passphrase.Describe(), certificate_file, agent_socket}, "\n");
}

absl::StatusOr<std::unique_ptr<LoginKeys>> LoginKeys::Read(const SshLogin& login) {
  std::unique_ptr<LoginKeys> keys(new LoginKeys(login));
  if (login.key.empty()) return keys;
  absl::Status read = keys->ReadOwn();
  if (read.ok()) return keys;
  if (!login.agent_may_have_key || login.agent_socket.empty()) return read;
  keys->key_ = nullptr;
  keys->key_note_ = FailureOf(read).detail();
  return keys;
}

absl::Status LoginKeys::ReadOwn() {
  ASSIGN_OR_RETURN(key_, ReadKey(login_));
  key_text_ = absl::StrCat("key ", PublicOf(key_.get()).Fingerprint(), " (", login_.key.Describe(), ")");
  if (login_.certificate_file.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(certificate_, ReadCertificate(login_.certificate_file, key_.get(), certificate_note_));
  absl::StrAppend(&key_text_, " with certificate ", login_.certificate_file);
  return absl::OkStatus();
}

absl::StatusOr<int> LoginKeys::TryKey(SshSession& session, Deadline deadline) const {
  const SshKeyPtr own(ssh_key_dup(key_.get()));
  // It does not dup the certificate.
  if (own == nullptr ||
      (certificate_ != nullptr && ssh_pki_copy_cert_to_privkey(certificate_.get(), own.get()) != SSH_OK)) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat(session.peer(), ": libssh can't use the ", key_text_));
  }
  return session.Drive("the login", deadline, [&] {
    const int code = ssh_userauth_publickey(session.get(), nullptr, own.get());
    return code == SSH_AUTH_AGAIN ? SSH_AGAIN : code;
  });
}

absl::StatusOr<int> LoginKeys::TryAgent(SshSession& session, Deadline deadline) const {
  ASSIGN_OR_RETURN(Descriptor agent, ConnectToAgent(login_.agent_socket));
  const AgentTimer timer(agent.get(), deadline);
  if (ssh_set_agent_socket(session.get(), agent.get()) != SSH_OK) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat(session.peer(), ": libssh does not take the agent's socket"));
  }
  agent.Release();
  return session.Drive("the login", deadline, [&] {
    const int code = ssh_userauth_agent(session.get(), nullptr);
    return code == SSH_AUTH_AGAIN ? SSH_AGAIN : code;
  });
}

absl::Status LoginKeys::Authenticate(SshSession& session, Deadline deadline) const {
  int code = SSH_AUTH_DENIED;
  if (key_ != nullptr) {
    ASSIGN_OR_RETURN(code, TryKey(session, deadline));
  }
  if (code == SSH_AUTH_DENIED && !login_.agent_socket.empty()) {
    absl::StatusOr<int> by_agent = TryAgent(session, deadline);
    if (!by_agent.ok() && !key_note_.empty()) return Annotate(std::move(by_agent).status(), key_note_);
    ASSIGN_OR_RETURN(code, std::move(by_agent));
  }
  if (code == SSH_AUTH_SUCCESS) return absl::OkStatus();
  if (deadline.IsOver()) return Fail(Reason::TIMED_OUT, absl::StrCat(session.peer(), ": timed out while logging in"));
  if (!session.alive() && !absl::StrContains(session.Error(), "authentication")) return session.Lost();
  return Refused(session);
}

absl::Status LoginKeys::Refused(const SshSession& session) const {
  std::vector<std::string> tried;
  if (key_ != nullptr) tried.push_back(key_text_);
  if (!login_.agent_socket.empty()) tried.push_back(absl::StrCat("the keys of the ssh-agent at ", login_.agent_socket));
  std::string detail = absl::StrCat(
      session.peer(), " refused the login; tried: ",
      tried.empty() ? "nothing, no key is configured and SSH_AUTH_SOCK names no agent" : absl::StrJoin(tried, ", "));
  const int offered = ssh_userauth_list(session.get(), nullptr);
  std::vector<absl::string_view> methods;
  if ((offered & SSH_AUTH_METHOD_PUBLICKEY) != 0) methods.push_back("publickey");
  if ((offered & SSH_AUTH_METHOD_PASSWORD) != 0) methods.push_back("password");
  if ((offered & SSH_AUTH_METHOD_INTERACTIVE) != 0) methods.push_back("keyboard-interactive");
  if ((offered & SSH_AUTH_METHOD_HOSTBASED) != 0) methods.push_back("hostbased");
  if ((offered & SSH_AUTH_METHOD_GSSAPI_MIC) != 0) methods.push_back("gssapi-with-mic");
  if (!methods.empty()) absl::StrAppend(&detail, "; it offers ", absl::StrJoin(methods, ", "));
  for (const std::string& note : {key_note_, certificate_note_}) {
    if (!note.empty()) absl::StrAppend(&detail, "; ", note);
  }
  if (!session.alive()) absl::StrAppend(&detail, "; it hung up: ", session.Error());
  return Fail(Reason::AUTH_FAILED, detail,
              "is the public key in that user's authorized_keys, and may the user log in from here? The server's log "
              "says why it refused (journalctl -u ssh)");
}

}  // namespace certcast::controller
