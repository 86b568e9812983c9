// Reads services from YAML: those of a node, and those of which several nodes choose.
#ifndef CERTCAST_COMMON_SERVICE_READ_H_
#define CERTCAST_COMMON_SERVICE_READ_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/service/service.h"
#include "common/yaml/value.h"

namespace certcast {

// The services of one node. Errors go to the document: beside what does not fit, a service that could not prove what it
// serves (no tls or https probe), a private key that others may read, a name or a file's path that is there twice.
// Files may not lie in `state`, the node's own directory; empty: not known.
std::vector<Service> ReadServices(const yaml::Value& list, absl::string_view state);

// Services of which each node has some: two of them may have the same file, since no node need have both. All else is
// as above; what they are to each other on one node is for CheckFilesTogether.
std::vector<Service> ReadServiceCatalogue(const yaml::Value& list);

// kInvalidArgument when two of these services have the same file, one's file is another's directory, or a file lies in
// `state` (empty: not known).
absl::Status CheckFilesTogether(const std::vector<const Service*>& services, absl::string_view state);

// Names that a node takes certificates for: DNS names, wildcards, or `*` for all. Lower case.
std::vector<std::string> ReadAllowedNames(const yaml::Value& list);

// A command's words: `[nginx, -t]`. A program with a slash in it is a path, relative to the document's file; others are
// looked up in PATH when they are run.
std::vector<std::string> ReadArgv(const yaml::Value& list);

// Of a line that a shell takes apart: /bin/sh -c LINE.
std::vector<std::string> ReadShellLine(const yaml::Value& line);

// Words; or `{run: WORDS, timeout: 10s}`; or `{sh: LINE, timeout: 10s}`.
ServiceCommand ReadCommand(const yaml::Value& value);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_READ_H_
