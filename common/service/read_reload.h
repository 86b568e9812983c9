// How a service is told of new files, from YAML.
#ifndef CERTCAST_COMMON_SERVICE_READ_RELOAD_H_
#define CERTCAST_COMMON_SERVICE_READ_RELOAD_H_

#include <vector>

#include "common/service/service.h"
#include "common/yaml/value.h"

namespace certcast {

// `none`; words; or a map: `{run: WORDS}`, `{sh: LINE}`, `{restart: WORDS}`, `{signal: HUP, pid_file: PATH}`,
// `{haproxy: {socket: PATH, certificate: PATH}}`, all but the signal with `timeout`. The certificate must be the path
// of one of `files` whose content is combined.
ServiceReload ReadReload(const yaml::Value& value, const std::vector<ServiceFile>& files);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_READ_RELOAD_H_
