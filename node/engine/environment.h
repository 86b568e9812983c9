// What an engine is made for and with.
#ifndef CERTCAST_NODE_ENGINE_ENVIRONMENT_H_
#define CERTCAST_NODE_ENGINE_ENVIRONMENT_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/http_challenge/place.h"
#include "common/manifest/manifest.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "common/service/service.h"
#include "node/engine/local_socket.h"
#include "node/engine/lock.h"
#include "node/engine/signaller.h"
#include "node/http_challenge/http_challenges.h"

namespace certcast::node {

struct EngineConfig {
  std::string node;
  // Absolute; made when missing.
  std::string state;
  std::vector<Service> services;
  std::vector<std::string> allow_names;
  // Generations kept on disk beside the one in force, the one to go back to included. At least 1.
  int keep = 2;
  // Who signs manifests, and for which fleet. Unset while not enrolled: installs are refused.
  struct Fleet {
    std::string id;
    ManifestKey key;
  };
  std::optional<Fleet> fleet;
  // Where it shows what ACME CAs look for; empty: nowhere.
  HttpChallengePlace http_challenge;
  std::string version;
  // All of this came with the commands, since the node has no configuration of its own.
  bool hosted = false;
  // The file that says what runs here, for hints.
  absl::string_view file() const { return hosted ? "certcast.yaml" : "node.yaml"; }
  // Of the node's own certificate: for Inventory, and what the clock is held against (clock_check.h).
  std::optional<absl::Time> identity_not_before;
  std::optional<absl::Time> identity_not_after;
};

// What the engine uses of the machine. All outlive it.
struct EngineEnvironment {
  FileSystem* files = nullptr;
  ProcessRunner* processes = nullptr;
  Prober* prober = nullptr;
  Clock* clock = nullptr;
  StateLocker* locker = &StateLocker::Real();
  Signaller* signaller = &Signaller::Real();
  LocalSocket* sockets = &LocalSocket::Real();
  // Outlives engines, since challenges outlive the commands that put them there. Null: commands about them are refused.
  HttpChallenges* http_challenges = nullptr;
  // The machine boots, and services start once this is done: Start puts their files right, and leaves it to the next
  // one to reload and to prove. Commands are not for such an engine.
  bool before_services = false;
};

// Told at the start of each step. Called by the thread that handles the command; must not call Handle with a command
// that changes something.
using OnProgress = std::function<void(const v1::Progress&)>;

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_ENVIRONMENT_H_
