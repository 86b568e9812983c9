// One file of a service, from YAML.
#ifndef CERTCAST_COMMON_SERVICE_READ_FILE_H_
#define CERTCAST_COMMON_SERVICE_READ_FILE_H_

#include <string>

#include "common/service/service.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/value.h"

namespace certcast {

// `certificate`: the service's; a pkcs12 file's alias, where none is given. Adds the path to `paths`.
ServiceFile ReadServiceFile(const yaml::Value& value, const std::string& certificate, yaml::FirstSeen& paths);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_READ_FILE_H_
