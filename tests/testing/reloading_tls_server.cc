#include "tests/testing/reloading_tls_server.h"

#include <sys/socket.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

constexpr char kNothing[] = "nothing";
constexpr char kMixed[] = "mixed";

std::string LeafInPair(const std::string& fullchain, const std::string& key) {
  const auto chain = ParseChainPem(fullchain);
  const auto private_key = PrivateKey::FromPem(key);
  if (!chain.ok() || !private_key.ok() || !CheckKeyMatches(chain->front(), *private_key).ok()) return kMixed;
  return chain->front().sha256();
}

}  // namespace

std::string LeafInFiles(const std::string& fullchain_path, const std::string& key_path) {
  std::error_code ignored;
  if (!std::filesystem::exists(fullchain_path, ignored) && !std::filesystem::exists(key_path, ignored)) return kNothing;
  return LeafInPair(ReadFile(fullchain_path), ReadFile(key_path));
}

ReloadingTlsServer::ReloadingTlsServer(std::string fullchain_path, std::string key_path,
                                       absl::string_view fullchain_pem, absl::string_view key_pem, int port)
    : fullchain_path_(std::move(fullchain_path)),
      key_path_(std::move(key_path)),
      tls_(fullchain_pem, key_pem, /*is_v6=*/false, port) {
  control_.Listen();
  thread_ = std::thread([this] { Run(); });
}

ReloadingTlsServer::~ReloadingTlsServer() {
  control_.Stop();
  thread_.join();
}

std::string ReloadingTlsServer::reload_line() const {
  return absl::StrCat("exec 3<>/dev/tcp/127.0.0.1/", control_.port(), " && read -r answer <&3 && [ $answer = ok ]");
}

bool ReloadingTlsServer::Reload() {
  const std::string fullchain = ReadFile(fullchain_path_);
  const std::string key = ReadFile(key_path_);
  if (LeafInPair(fullchain, key) == kMixed) return false;
  tls_.Serve(fullchain, key);
  return true;
}

void ReloadingTlsServer::Run() {
  while (true) {
    const Descriptor connection(control_.Accept());
    if (!connection.valid()) return;
    const absl::string_view answer = ignores_ || Reload() ? "ok\n" : "failed\n";
    (void)send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }
}

}  // namespace certcast::testing
