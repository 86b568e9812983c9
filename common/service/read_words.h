// Services as node.yaml says them, and what is read of that; for tests of this folder.
#ifndef CERTCAST_COMMON_SERVICE_READ_WORDS_H_
#define CERTCAST_COMMON_SERVICE_READ_WORDS_H_

#include <string>
#include <vector>

#include "common/service/read.h"
#include "common/yaml/document.h"

namespace certcast {

inline constexpr char kProbes[] = "\n  probes: [{tls: {address: \"127.0.0.1:443\", server_name: www.example.com}}]\n";
inline constexpr char kFiles[] = "\n  files: [{path: /etc/tls/a.pem, content: fullchain}]";
inline constexpr char kCombined[] = "\n  files: [{path: /etc/haproxy/a.pem, content: combined}]";
inline constexpr char kHead[] = "- name: web\n  certificate: wildcard";

struct ReadResult {
  std::vector<Service> services;
  std::string errors;
};

inline ReadResult Read(const std::string& text) {
  auto document = yaml::Document::Parse(text, "/etc/certcast/n.yaml", {});
  if (!document.ok()) return {.errors = std::string(document.status().message())};
  ReadResult result;
  result.services = ReadServices((*document)->root(), "/var/lib/node");
  result.errors = std::string((*document)->status().message());
  return result;
}

inline constexpr char kTwoFiles[] =
    "\n  files: [{path: /a.pem, content: fullchain}, {path: /b.pem, content: fullchain, certificate: shop}]";

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_READ_WORDS_H_
