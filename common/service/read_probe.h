// One item of a service's probes, from YAML.
#ifndef CERTCAST_COMMON_SERVICE_READ_PROBE_H_
#define CERTCAST_COMMON_SERVICE_READ_PROBE_H_

#include <vector>

#include "common/probe/probe.h"
#include "common/service/read_endpoint.h"
#include "common/yaml/value.h"

namespace certcast {

// `{tls: {...}}`, `{http: {...}}`, `{tcp: {...}}` or `{command: {...}}`. One `tls` with several addresses or server
// names is a probe for each pair, and one without an address asks at `standard`, where there is one. At least one;
// after an error of these: a TlsProbe.
std::vector<ProbeSpec> ReadProbes(const yaml::Value& value, const DefaultEndpoint* standard);

// Whether it sees the fingerprint that is served: tls, and http on an https URL.
bool SeesCertificate(const ProbeSpec& probe);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_READ_PROBE_H_
