#include "common/link/wipe_key.h"

#include <string>

#include "common/secret/secret.h"

namespace certcast {

void WipeKey(v1::Command& command) {
  if (!command.has_install()) return;
  std::string& key = *command.mutable_install()->mutable_bundle()->mutable_private_key_pem();
  Wipe(key.data(), key.size());
}

}  // namespace certcast
