#include "tests/bench/ssh_tools.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "tests/testing/program.h"

namespace certcast::bench {
namespace {

using testing::ReadFile;
using testing::WriteFile;

constexpr char kPush[] = "tests/bench/ssh_push";
constexpr int kThreads = 16;
constexpr int kForks = 50;

struct KeyExchangeFile {
  KeyExchange key_exchange;
  const char* config;
  // As ssh_config has it; nullptr: as OpenSSH has it.
  const char* algorithm;
};
constexpr KeyExchangeFile kKeyExchanges[] = {{KeyExchange::kCurve25519, "ssh_config", "curve25519-sha256"},
                                             {KeyExchange::kP256, "ssh_config_p256", "ecdh-sha2-nistp256"},
                                             {KeyExchange::kDefault, "ssh_config_default", nullptr}};

const KeyExchangeFile& FileFor(KeyExchange key_exchange) {
  return *std::find_if(std::begin(kKeyExchanges), std::end(kKeyExchanges),
                       [&](const KeyExchangeFile& file) { return file.key_exchange == key_exchange; });
}

constexpr char kCertificateTask[] = R"(- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - certcast.fleet.certificate: {executable: "{{ program }}", config: "{{ config }}"}
)";

constexpr char kFiveTasks[] = R"(- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.file: {path: "~/machine/plain/{{ into }}", state: directory, mode: "0700"}
    - ansible.builtin.copy: {src: $0/fullchain.pem, dest: "~/machine/plain/{{ into }}/fullchain.pem", mode: "0644"}
    - ansible.builtin.copy: {src: $0/privkey.pem, dest: "~/machine/plain/{{ into }}/privkey.pem", mode: "0600"}
    - ansible.builtin.file: {src: "{{ into }}", dest: "~/machine/plain/current", state: link}
    - ansible.builtin.command: {argv: [bash, machine/reload]}
)";

constexpr char kOneTask[] = R"(- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell:
        cmd: "{{ command }}"
        stdin: "{{ lookup('ansible.builtin.file', '$0/both', rstrip=false) }}"
        stdin_add_newline: false
)";

}  // namespace

absl::Status SshTools::Prepare(const testing::IssuedCertificate& certificate) const {
  const std::string key(certificate.key_pem.ExposeSecret());
  RETURN_IF_ERROR(WriteFile(Path("fullchain.pem"), certificate.fullchain_pem));
  RETURN_IF_ERROR(WriteFile(Path("privkey.pem"), key));
  RETURN_IF_ERROR(WriteFile(Path("both"), certificate.fullchain_pem + key));
  RETURN_IF_ERROR(WriteFile(Path("five-tasks.yaml"), absl::Substitute(kFiveTasks, hosts_.folder())));
  RETURN_IF_ERROR(WriteFile(Path("one-task.yaml"), absl::Substitute(kOneTask, hosts_.folder())));
  RETURN_IF_ERROR(WriteFile(Path("certificate-task.yaml"), kCertificateTask));
  RETURN_IF_ERROR(WriteFile(Path("ansible.cfg"), ""));
  std::error_code error;
  const std::string collections = Path("collections/ansible_collections/certcast");
  std::filesystem::create_directories(collections, error);
  std::filesystem::create_directory_symlink(std::filesystem::absolute("ansible"), collections + "/fleet", error);
  if (error) return absl::InternalError(absl::StrCat("linking ", collections, "/fleet: ", error.message()));
  std::string names;
  std::string addresses;
  for (const SshHost& host : hosts_.hosts()) {
    absl::StrAppend(&names, host.name, "\n");
    absl::StrAppend(&addresses, host.sshd->address(), " ", host.sshd->port(), "\n");
  }
  RETURN_IF_ERROR(WriteFile(Path("names"), names));
  RETURN_IF_ERROR(WriteFile(Path("addresses"), addresses));
  for (const KeyExchangeFile& file : kKeyExchanges) {
    RETURN_IF_ERROR(WriteFile(Path(file.config), SshConfig(file.algorithm)));
  }
  return absl::OkStatus();
}

std::string SshTools::SshConfig(const char* key_exchange) const {
  std::string text;
  for (const SshHost& host : hosts_.hosts()) {
    absl::StrAppend(&text, "Host ", host.name, "\n  HostName ", host.sshd->address(), "\n  Port ", host.sshd->port(),
                    "\n");
  }
  absl::StrAppend(&text, "Host *\n  User ", kSshUser, "\n  IdentityFile ", hosts_.key_file(),
                  "\n  IdentitiesOnly yes\n  BatchMode yes\n  LogLevel ERROR\n  StrictHostKeyChecking yes\n",
                  "  GlobalKnownHostsFile /dev/null\n  UserKnownHostsFile ", hosts_.known_hosts_file(), "\n");
  if (key_exchange != nullptr) absl::StrAppend(&text, "  KexAlgorithms ", key_exchange, "\n");
  return text;
}

std::string SshTools::RemoteCommand(const std::string& directory) const {
  const std::string plain = "machine/plain";
  return absl::StrCat("umask 077; mkdir -p ", plain, "/", directory, " && cd ", plain, "/", directory, " && head -c ",
                      std::filesystem::file_size(Path("fullchain.pem")),
                      " >fullchain.pem && cat >privkey.pem && ln -sfn ", directory,
                      " ../current && bash ~/machine/reload");
}

MeasuredCommand SshTools::SshTrue() const {
  MeasuredCommand command;
  command.argv = {"xargs", "-a",  Path("names"), "-P", absl::StrCat(parallel_),
                  "-I",    "{}",  "ssh",         "-F", Path("ssh_config"),
                  "{}",    "true"};
  command.log = log_file();
  return command;
}

MeasuredCommand SshTools::BareLibssh(const std::string& directory, KeyExchange key_exchange) const {
  MeasuredCommand command;
  command.argv = {std::filesystem::absolute(kPush).string(),
                  "--hosts",
                  Path("addresses"),
                  "--user",
                  kSshUser,
                  "--key",
                  hosts_.key_file(),
                  "--first",
                  Path("fullchain.pem"),
                  "--second",
                  Path("privkey.pem"),
                  "--to",
                  absl::StrCat("machine/plain/", directory),
                  "--key-exchange",
                  FileFor(key_exchange).algorithm,
                  "--threads",
                  absl::StrCat(kThreads)};
  command.log = log_file();
  return command;
}

MeasuredCommand SshTools::Pdsh(const std::string& directory, KeyExchange key_exchange) const {
  const std::string config = Path(FileFor(key_exchange).config);
  MeasuredCommand command;
  command.argv = {"pdsh",
                  "-R",
                  "exec",
                  "-S",
                  "-f",
                  absl::StrCat(parallel_),
                  "-w",
                  "^" + Path("names"),
                  "sh",
                  "-c",
                  absl::StrCat("exec ssh -F ", config, " %h '", RemoteCommand(directory), "' <", Path("both"))};
  command.log = log_file();
  return command;
}

MeasuredCommand SshTools::Clush(const std::string& directory) const {
  MeasuredCommand command;
  command.argv = {"clush",
                  "-S",
                  "-f",
                  absl::StrCat(parallel_),
                  "--hostfile",
                  Path("names"),
                  "-o",
                  absl::StrCat("-F ", Path("ssh_config")),
                  RemoteCommand(directory)};
  command.input = Path("both");
  command.log = log_file();
  return command;
}

MeasuredCommand SshTools::AnsiblePlaybook(const std::string& directory, Play play) const {
  MeasuredCommand command;
  command.argv = {"ansible-playbook",
                  "-i",
                  Path("names"),
                  "-f",
                  absl::StrCat(kForks),
                  "-e",
                  play == Play::kOneTask ? absl::StrCat("command=\"", RemoteCommand(directory), "\"")
                                         : absl::StrCat("into=", directory),
                  Path(play == Play::kOneTask ? "one-task.yaml" : "five-tasks.yaml")};
  command.environment = AnsibleEnvironment();
  command.log = log_file();
  return command;
}

MeasuredCommand SshTools::CertificateTask(const std::string& program, const std::string& config) const {
  MeasuredCommand command;
  command.argv = {"ansible-playbook",
                  "-i",
                  "localhost,",
                  "-e",
                  absl::StrCat("program=", program),
                  "-e",
                  absl::StrCat("config=", config),
                  Path("certificate-task.yaml")};
  command.environment = AnsibleEnvironment();
  command.log = log_file();
  return command;
}

std::vector<std::pair<std::string, std::string>> SshTools::AnsibleEnvironment() const {
  return {
      {"ANSIBLE_COLLECTIONS_PATH", Path("collections")},
      {"ANSIBLE_CONFIG", Path("ansible.cfg")},
      {"ANSIBLE_HOME", Path("ansible")},
      {"ANSIBLE_PIPELINING", "True"},
      {"ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3"},
      {"ANSIBLE_SSH_ARGS", absl::StrCat("-F ", Path("ssh_config"), " -C -o ControlMaster=auto -o ControlPersist=60s")},
      {"ANSIBLE_SSH_CONTROL_PATH_DIR", Path("cp")},
      {"LC_ALL", "C.UTF-8"}};
}

int SshTools::CountMissing(const std::string& directory) const {
  const std::string fullchain = ReadFile(Path("fullchain.pem"));
  const std::string key = ReadFile(Path("privkey.pem"));
  int missing = 0;
  for (const SshHost& host : hosts_.hosts()) {
    const std::string there = absl::StrCat(host.folder, "/plain/", directory);
    if (ReadFile(there + "/fullchain.pem") != fullchain || ReadFile(there + "/privkey.pem") != key) ++missing;
  }
  return missing;
}

}  // namespace certcast::bench
