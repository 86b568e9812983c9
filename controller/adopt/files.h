// Reading what is below one client's directory.
#ifndef CERTCAST_CONTROLLER_ADOPT_FILES_H_
#define CERTCAST_CONTROLLER_ADOPT_FILES_H_

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/adopt/adopt.h"

namespace certcast::controller {

// Names in it, sorted; none where it can't be read.
std::vector<std::string> NamesIn(const std::string& directory);
bool IsDirectory(const std::string& path);
bool IsFile(const std::string& path);
// At most 1 MiB.
absl::StatusOr<std::string> ReadText(const std::string& path);
absl::StatusOr<Secret> ReadKey(const std::string& path);
absl::StatusOr<nlohmann::json> ReadJson(const std::string& path);
// A text member, by its path; empty where there is none.
std::string TextIn(const nlohmann::json& json, const std::string& pointer);

// `KEY=value`, `KEY='value'` and `KEY = value`, a line each; sections and comments are left out, and nothing is
// expanded.
std::map<std::string, std::string> ReadSettings(const std::string& path);
// Empty where there is none.
std::string Setting(const std::map<std::string, std::string>& settings, const std::string& key);

// Checks that both are there and belong together; fills in names and key type. FailInput says what is wrong.
absl::StatusOr<AdoptedCertificate> ReadPair(const std::string& name, const std::string& fullchain,
                                            const std::string& key);
// A name that may stand in the configuration: letters, digits and `-`.
std::string PlainName(const std::string& text);
// A double-quoted scalar (YAML 1.2 section 7.3.1) of one line, without control characters.
std::string QuotedForYaml(absl::string_view text);
// What stands for `challenge` in the configuration, for http-01 with files below `root`, or with a server of certcast's
// own (`host` empty: at all addresses; `port` empty: 80). Empty where that is no configuration: for wildcards, for a
// root that is no absolute path, for an address that is none.
std::string WebrootChallenge(const std::vector<std::string>& domains, const std::string& root);
std::string ListenChallenge(const std::vector<std::string>& domains, const std::string& host, const std::string& port);
bool HasWildcard(const std::vector<std::string>& domains);
// The one that all of them are; empty where there are several, or none.
std::string OnlyOneOf(const std::vector<std::string>& values);
// For an account at that CA.
std::string AccountNameFor(const std::string& directory);

// One client each.
absl::StatusOr<Adoption> ReadCertbot(const std::string& directory);
absl::StatusOr<Adoption> ReadAcmeSh(const std::string& directory);
absl::StatusOr<Adoption> ReadLego(const std::string& directory);
absl::StatusOr<Adoption> ReadDehydrated(const std::string& directory);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ADOPT_FILES_H_
