// Reads where a secret is. What stands there instead of a reference is never repeated in an error: it may be the
// secret.
#ifndef CERTCAST_COMMON_YAML_SECRET_H_
#define CERTCAST_COMMON_YAML_SECRET_H_

#include "common/secret/reference.h"
#include "common/yaml/value.h"

namespace certcast::yaml {

// Exactly one of `{file: PATH}`, `{env: NAME}` and `{credential: NAME}`.
SecretReference ReadSecretReference(const Value& value);

}  // namespace certcast::yaml

#endif  // CERTCAST_COMMON_YAML_SECRET_H_
