// One probe of a service, from YAML.
#ifndef CERTCAST_COMMON_SERVICE_READ_PROBE_H_
#define CERTCAST_COMMON_SERVICE_READ_PROBE_H_

#include "common/probe/probe.h"
#include "common/yaml/value.h"

namespace certcast {

// `{tls: {...}}`, `{http: {...}}`, `{tcp: {...}}` or `{command: {...}}`. After an error of these: a TlsProbe.
ProbeSpec ReadProbe(const yaml::Value& value);

// Whether it sees the fingerprint that is served: tls, and http on an https URL.
bool SeesCertificate(const ProbeSpec& probe);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_READ_PROBE_H_
