// The least that brings two files to many hosts over SSH with libssh, for tests/bench/ssh.cc to compare with: it logs
// in, runs one command that takes both from its standard input, and looks at how that ended. It believes any host.
#include <libssh/libssh.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace certcast::bench {
namespace {

struct Flags {
  std::string hosts;
  std::string user;
  std::string key;
  std::string first;
  std::string second;
  std::string to;
  std::string key_exchange;
  int threads = 16;
};

struct Address {
  std::string host;
  int port = 0;
};

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Push {
 public:
  explicit Push(const Flags& flags)
      : flags_(flags), first_(ReadWhole(flags.first)), bytes_(first_ + ReadWhole(flags.second)) {}

  // True when the host has both. Thread-safe; the key is the thread's own.
  bool To(const Address& address, ssh_key key) const {
    const ssh_session session = ssh_new();
    const auto end = absl::MakeCleanup([session] {
      ssh_disconnect(session);
      ssh_free(session);
    });
    if (!Connect(session, address) || ssh_userauth_publickey(session, nullptr, key) != SSH_AUTH_SUCCESS) {
      std::cerr << address.host << ":" << address.port << ": " << ssh_get_error(session) << "\n";
      return false;
    }
    const ssh_channel channel = ssh_channel_new(session);
    const auto close = absl::MakeCleanup([channel] { ssh_channel_free(channel); });
    return Write(channel);
  }

 private:
  bool Connect(ssh_session session, const Address& address) const {
    const bool no = false;
    const int yes = 1;
    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    ssh_options_set(session, SSH_OPTIONS_HOST, address.host.c_str());
    ssh_options_set(session, SSH_OPTIONS_PORT, &address.port);
    ssh_options_set(session, SSH_OPTIONS_USER, flags_.user.c_str());
    ssh_options_set(session, SSH_OPTIONS_NODELAY, &yes);
    ssh_options_set(session, SSH_OPTIONS_KEY_EXCHANGE, flags_.key_exchange.c_str());
    return ssh_connect(session) == SSH_OK;
  }

  bool Write(ssh_channel channel) const {
    const std::string command = absl::StrCat("umask 077; mkdir -p ", flags_.to, " && cd ", flags_.to, " && head -c ",
                                             first_.size(), " >fullchain.pem && cat >privkey.pem");
    return ssh_channel_open_session(channel) == SSH_OK &&
           ssh_channel_request_exec(channel, command.c_str()) == SSH_OK &&
           ssh_channel_write(channel, bytes_.data(), static_cast<uint32_t>(bytes_.size())) ==
               static_cast<int>(bytes_.size()) &&
           ssh_channel_send_eof(channel) == SSH_OK && Ended(channel);
  }

  static bool Ended(ssh_channel channel) {
    std::array<char, 4096> rest;
    while (ssh_channel_read(channel, rest.data(), rest.size(), 0) > 0) {
    }
    return ssh_channel_get_exit_status(channel) == 0;
  }

  const Flags& flags_;
  const std::string first_;
  const std::string bytes_;
};

int Run(const Flags& flags) {
  std::vector<Address> addresses;
  std::ifstream file(flags.hosts);
  for (Address address; file >> address.host >> address.port;) addresses.push_back(address);
  ssh_init();
  const Push push(flags);
  std::atomic<size_t> next = 0;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(flags.threads));
  for (int i = 0; i < flags.threads; ++i) {
    threads.emplace_back([&] {
      ssh_key key = nullptr;
      if (ssh_pki_import_privkey_file(flags.key.c_str(), nullptr, nullptr, nullptr, &key) != SSH_OK) {
        failed = static_cast<int>(addresses.size());
        return;
      }
      for (size_t host = next++; host < addresses.size(); host = next++) {
        if (!push.To(addresses[host], key)) ++failed;
      }
      ssh_key_free(key);
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failed > 0) std::cerr << "ssh_push: " << failed << " of " << addresses.size() << " hosts failed\n";
  return failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  certcast::bench::Flags flags;
  CLI::App app("Brings two files to many hosts over SSH, with nothing else. A part of tests/bench:ssh.");
  app.add_option("--hosts", flags.hosts, "a file, `ADDRESS PORT` a line")->required();
  app.add_option("--user", flags.user, "who logs in")->required();
  app.add_option("--key", flags.key, "with which key")->required();
  app.add_option("--first", flags.first, "becomes fullchain.pem")->required();
  app.add_option("--second", flags.second, "becomes privkey.pem")->required();
  app.add_option("--to", flags.to, "in which directory")->required();
  app.add_option("--key-exchange", flags.key_exchange, "as ssh_config has it")->required();
  app.add_option("--threads", flags.threads, "hosts at once")->capture_default_str()->check(CLI::Range(1, 1000));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return certcast::bench::Run(flags);
}
