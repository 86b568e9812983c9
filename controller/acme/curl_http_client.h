// HttpClient over libcurl.
#ifndef CERTCAST_CONTROLLER_ACME_CURL_HTTP_CLIENT_H_
#define CERTCAST_CONTROLLER_ACME_CURL_HTTP_CLIENT_H_

#include <memory>
#include <string>

#include "controller/acme/http_client.h"

namespace certcast::controller {

// TLS 1.2 or later with verification of chain and name. GET and HEAD follow up to five redirects (https only), POST
// none. Proxies are taken from the environment (https_proxy, no_proxy), as libcurl does. Connections are kept and used
// again. `user_agent`: `certcast/0.1.0` (RFC 8555 section 6.1).
std::unique_ptr<HttpClient> MakeCurlHttpClient(std::string user_agent);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_CURL_HTTP_CLIENT_H_
