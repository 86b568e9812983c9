// What the parts of one engine share.
#ifndef CERTCAST_NODE_ENGINE_CONTEXT_H_
#define CERTCAST_NODE_ENGINE_CONTEXT_H_

#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "node/engine/environment.h"
#include "node/engine/journal.h"
#include "node/engine/layout.h"
#include "node/engine/node_state.h"

namespace certcast::node {

// Thread-safe: what changes guards itself. Who changes things on disk holds the engine's install lock.
struct EngineContext {
  EngineConfig config;
  EngineEnvironment environment;
  Layout layout;
  std::unique_ptr<JournalFile> journal;
  std::unique_ptr<NodeStateFile> state;

  FileSystem& files() const { return *environment.files; }
  Clock& clock() const { return *environment.clock; }

  // That have files of it, in the order of the configuration.
  std::vector<const Service*> ServicesOf(absl::string_view certificate) const {
    std::vector<const Service*> services;
    for (const Service& service : config.services) {
      if (!service.FilesOf(certificate).empty()) services.push_back(&service);
    }
    return services;
  }

  // Null when there is none.
  const Service* FindService(absl::string_view name) const {
    for (const Service& service : config.services) {
      if (service.name == name) return &service;
    }
    return nullptr;
  }
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_CONTEXT_H_
