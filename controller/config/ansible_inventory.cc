#include "controller/config/ansible_inventory.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "controller/config/ansible_ssh_arguments.h"

namespace certcast::controller {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxFile = 64 << 20;
constexpr size_t kMaxText = 1024;
constexpr size_t kMaxErrors = 20;
constexpr int kMaxDepth = 64;
constexpr absl::string_view kMadeBy = "it is made by: ansible-inventory -i INVENTORY --list > inventory.json";

std::string Quote(absl::string_view text) {
  return nlohmann::json(std::string(text)).dump();
}

std::string QuotedList(const std::vector<std::string>& texts) {
  return absl::StrCat(
      "[",
      absl::StrJoin(texts, ", ", [](std::string* out, const std::string& text) { absl::StrAppend(out, Quote(text)); }),
      "]");
}

std::string Show(const Json& value) {
  const std::string text = value.dump();
  return text.size() <= 60 ? text : absl::StrCat(text.substr(0, 60), "...");
}

// What is wrong, a line each.
class Errors {
 public:
  explicit Errors(std::string path) : path_(std::move(path)) {}

  void Add(absl::string_view where, absl::string_view what, absl::string_view hint = "") {
    if (++count_ > kMaxErrors) return;
    absl::StrAppend(&lines_, lines_.empty() ? "" : "\n", path_, ": ", where, where.empty() ? "" : ": ", what,
                    hint.empty() ? "" : "; ", hint);
  }
  void Add(absl::string_view where, const absl::Status& status) {
    const v1::Failure failure = FailureOf(status);
    Add(where, failure.detail(), failure.hint());
  }
  absl::Status status() const {
    if (count_ == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        count_ <= kMaxErrors ? lines_ : absl::StrCat(lines_, "\nand ", count_ - kMaxErrors, " more"));
  }

 private:
  const std::string path_;
  std::string lines_;
  size_t count_ = 0;
};

// A host's variables. What does not fit becomes an error, and reads as absent.
class Variables {
 public:
  Variables(const std::string& host, const Json& values, Errors& errors)
      : host_(host), values_(values), errors_(errors) {}

  // The first of `names` that is there, without Ansible's mark of what is not a template.
  const Json* Find(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const auto found = values_.find(name);
      if (found == values_.end() || found->is_null()) continue;
      name_ = name;
      const auto unsafe = found->is_object() ? found->find("__ansible_unsafe") : found->end();
      return found->is_object() && unsafe != found->end() ? &*unsafe : &*found;
    }
    return nullptr;
  }

  std::string Text(const std::vector<std::string>& names) {
    const Json* value = Find(names);
    return value == nullptr ? "" : TextOf(*value);
  }

  // Ports may be written as texts.
  int Port(const std::vector<std::string>& names) {
    const Json* value = Find(names);
    if (value == nullptr) return 0;
    int port = 0;
    const std::string text = value->is_number_integer() ? value->dump() : TextOf(*value);
    if (text.empty() || (absl::SimpleAtoi(text, &port) && port >= 1 && port <= 65535)) return port;
    Fail(absl::StrCat("found ", Show(*value), ", expected a port of 1 to 65535"));
    return 0;
  }

  std::optional<bool> Boolean(const std::vector<std::string>& names) {
    const Json* value = Find(names);
    if (value == nullptr) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>();
    const std::string text = absl::AsciiStrToLower(value->is_string() ? value->get<std::string>() : value->dump());
    for (const absl::string_view yes : {"yes", "true", "1", "on", "y"}) {
      if (text == yes) return true;
    }
    for (const absl::string_view no : {"no", "false", "0", "off", "n", ""}) {
      if (text == no) return false;
    }
    Fail(absl::StrCat("found ", Show(*value), ", expected true or false"));
    return std::nullopt;
  }

  // A list of texts; nullopt where there is none.
  std::optional<std::vector<std::string>> Texts(const std::string& name) {
    const Json* value = Find({name});
    if (value == nullptr) return std::nullopt;
    std::vector<std::string> texts;
    if (!value->is_array()) {
      Fail(absl::StrCat("found ", Show(*value), ", expected a list"));
      return texts;
    }
    for (const Json& item : *value) texts.push_back(TextOf(item));
    return texts;
  }

  std::map<std::string, std::string> Map(const std::string& name) {
    std::map<std::string, std::string> texts;
    const Json* value = Find({name});
    if (value == nullptr) return texts;
    if (!value->is_object()) {
      Fail(absl::StrCat("found ", Show(*value), ", expected a map such as {\"rack\": \"a\"}"));
      return texts;
    }
    for (const auto& [key, entry] : value->items()) texts[key] = TextOf(entry);
    return texts;
  }

  // About the variable that was read last.
  void Fail(absl::string_view what, absl::string_view hint = "") {
    errors_.Add(absl::StrCat("host ", host_, ": ", name_), what, hint);
  }
  void Fail(const absl::Status& status) { errors_.Add(absl::StrCat("host ", host_, ": ", name_), status); }

 private:
  std::string TextOf(const Json& value) {
    if (value.is_number()) return value.dump();
    if (value.is_object() && value.contains("__ansible_vault")) {
      Fail("found a value that Ansible Vault has encrypted, expected a text", "certcast can't decrypt it");
      return "";
    }
    if (!value.is_string() || value.get<std::string>().size() > kMaxText) {
      Fail(absl::StrCat("found ", Show(value), ", expected a text of at most ", kMaxText, " bytes"));
      return "";
    }
    std::string text = value.get<std::string>();
    if (!absl::StrContains(text, "{{") && !absl::StrContains(text, "{%")) return text;
    Fail(absl::StrCat("found the template ", Show(value), ", expected a value"),
         "ansible-inventory leaves templates as they are; write the value itself for this host");
    return "";
  }

  const std::string& host_;
  const Json& values_;
  Errors& errors_;
  std::string name_;
};

// An address as it stands before a port.
std::string Bracketed(const std::string& host) {
  return absl::StrContains(host, ':') && !absl::StartsWith(host, "[") ? absl::StrCat("[", host, "]") : host;
}

class Inventory {
 public:
  Inventory(const Json& json, const std::string& path, const InventoryDefaults& defaults, std::string home)
      : json_(json), defaults_(defaults), home_(std::move(home)), errors_(path) {}

  absl::StatusOr<std::vector<InventoryHost>> Read() {
    CheckShape();
    RETURN_IF_ERROR(errors_.status());
    FindGroups();
    std::vector<InventoryHost> hosts;
    for (const std::string& name : Members()) hosts.push_back({name, Entry(name)});
    RETURN_IF_ERROR(errors_.status());
    return hosts;
  }

 private:
  static const Json& Empty() {
    static const Json* const empty = new Json(Json::object());
    return *empty;
  }

  void CheckShape() {
    if (!json_.is_object() || !json_.contains("_meta")) {
      return errors_.Add("", "found no `_meta`, expected the JSON of an inventory", kMadeBy);
    }
    const Json& meta = json_["_meta"];
    if (!meta.is_object() || !meta.contains("hostvars") || !meta["hostvars"].is_object()) {
      return errors_.Add("", "found no `_meta.hostvars`, expected the variables of hosts there", kMadeBy);
    }
    for (const auto& [name, group] : json_.items()) {
      if (name == "_meta") continue;
      if (!group.is_object()) return errors_.Add(absl::StrCat("group ", name), "expected a map", kMadeBy);
      if (group.contains("vars")) {
        return errors_.Add(absl::StrCat("group ", name), "found `vars`, expected them among those of each host",
                           "leave --export out of ansible-inventory --list");
      }
    }
  }

  // Names of hosts or groups in a group; anything else is no inventory.
  std::vector<std::string> Names(const std::string& group, const char* key) {
    std::vector<std::string> names;
    const auto found = json_.find(group);
    if (found == json_.end() || !found->contains(key)) return names;
    for (const Json& name : (*found)[key]) {
      if (name.is_string() && name.get<std::string>().size() <= kMaxText) {
        names.push_back(name.get<std::string>());
      } else {
        errors_.Add(absl::StrCat("group ", group), absl::StrCat("found ", Show(name), " among its ", key), kMadeBy);
      }
    }
    return names;
  }

  // Every group that a host is in, by itself or by a group below.
  void FindGroups() {
    for (const auto& [name, group] : json_.items()) {
      if (name == "_meta" || name == "all" || name == "ungrouped") continue;
      for (const std::string& host : HostsBelow(name)) groups_[host].insert(name);
    }
  }

  std::vector<std::string> HostsBelow(const std::string& group) {
    std::vector<std::string> hosts;
    std::set<std::string> groups;
    std::set<std::string> seen;
    Collect(group, 0, groups, seen, hosts);
    return hosts;
  }

  void Collect(const std::string& group, int depth, std::set<std::string>& groups, std::set<std::string>& seen,
               std::vector<std::string>& hosts) {
    if (depth > kMaxDepth || !groups.insert(group).second) return;
    for (const std::string& host : Names(group, "hosts")) {
      if (seen.insert(host).second) hosts.push_back(host);
    }
    for (const std::string& child : Names(group, "children")) Collect(child, depth + 1, groups, seen, hosts);
  }

  std::vector<std::string> Members() {
    if (defaults_.group != "all" && !json_.contains(defaults_.group)) {
      std::vector<std::string> known;
      for (const auto& [name, group] : json_.items()) known.push_back(name);
      const absl::string_view nearest = NearestWord(defaults_.group, {known.begin(), known.end()});
      errors_.Add("", absl::StrCat("there is no group ", defaults_.group),
                  nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "?"));
      return {};
    }
    std::vector<std::string> members = HostsBelow(defaults_.group);
    if (members.empty()) errors_.Add("", absl::StrCat("the group ", defaults_.group, " has no hosts"));
    return members;
  }

  std::string Entry(const std::string& name) {
    const Json& all = json_["_meta"]["hostvars"];
    const auto found = all.find(name);
    Variables variables(name, found == all.end() || !found->is_object() ? Empty() : *found, errors_);
    if (const absl::Status good = CheckName(name); !good.ok()) errors_.Add(absl::StrCat("host ", name), good);
    const std::string connection = variables.Text({"ansible_connection"});
    const std::string host = HostOf(name, variables);
    std::string entry = absl::StrCat("{name: ", Quote(name));
    const std::string own = variables.Text({"certcast_address"});
    if (!own.empty()) {
      absl::StrAppend(&entry, ", address: ", Quote(own));
    } else if (defaults_.agent_port != 0) {
      absl::StrAppend(&entry,
                      ", address: ", Quote(absl::StrCat("grpc://", Bracketed(host), ":", defaults_.agent_port)));
    } else {
      CheckConnection(connection, variables);
      absl::StrAppend(&entry, LoginOf(host, variables));
    }
    if (absl::StartsWith(own, "ssh://")) absl::StrAppend(&entry, ServicesOf(variables));
    return absl::StrCat(entry, LabelsOf(name, variables), VerifyOf(host, variables), "}");
  }

  static std::string HostOf(const std::string& name, Variables& variables) {
    const std::string host = variables.Text({"ansible_host", "ansible_ssh_host"});
    return host.empty() ? name : host;
  }

  static void CheckConnection(const std::string& connection, Variables& variables) {
    for (const absl::string_view good : {"", "ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"}) {
      if (connection == good) return;
    }
    variables.Find({"ansible_connection"});
    variables.Fail(absl::StrCat("found ", connection, ", expected ssh"),
                   "certcast_address: grpc://HOST:PORT is for a host with an agent");
  }

  // Address, services and what is the host's own of `ssh:`.
  std::string LoginOf(const std::string& host, Variables& variables) {
    AnsibleSshArguments arguments;
    for (const char* name : {"ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"}) {
      const std::string text = variables.Text({name});
      absl::StatusOr<AnsibleSshArguments> parsed = ParseAnsibleSshArguments(text);
      if (!parsed.ok()) {
        variables.Fail(parsed.status());
        continue;
      }
      if (arguments.jump.empty()) arguments.jump = parsed->jump;
      if (arguments.key_file.empty()) arguments.key_file = parsed->key_file;
      if (arguments.user.empty()) arguments.user = parsed->user;
      if (arguments.port == 0) arguments.port = parsed->port;
    }
    std::string user = variables.Text({"ansible_user", "ansible_ssh_user"});
    if (user.empty()) user = arguments.user;
    int port = variables.Port({"ansible_port", "ansible_ssh_port"});
    if (port == 0) port = arguments.port;
    std::string address = absl::StrCat("ssh://", user, user.empty() ? "" : "@", Bracketed(host));
    if (port != 0) absl::StrAppend(&address, ":", port);
    return absl::StrCat(", address: ", Quote(address), ServicesOf(variables), OptionsOf(arguments, variables));
  }

  std::string ServicesOf(Variables& variables) const {
    const std::vector<std::string> services = variables.Texts("certcast_services").value_or(defaults_.services);
    return absl::StrCat(
        defaults_.state.empty() ? "" : ", state: ", defaults_.state.empty() ? "" : Quote(defaults_.state),
        services.empty() ? "" : ", services: ", services.empty() ? "" : QuotedList(services));
  }

  std::string OptionsOf(const AnsibleSshArguments& arguments, Variables& variables) const {
    std::vector<std::string> options;
    std::string key = variables.Text({"ansible_ssh_private_key_file", "ansible_private_key_file"});
    if (key.empty()) key = arguments.key_file;
    if (absl::StartsWith(key, "~/") && !home_.empty()) key = absl::StrCat(home_, key.substr(1));
    if (absl::StartsWith(key, "~")) {
      variables.Fail(absl::StrCat("found the key ", key, ", expected an absolute path"));
    } else if (!key.empty()) {
      options.push_back(absl::StrCat("key: {file: ", Quote(key), "}"));
    }
    if (!arguments.jump.empty()) options.push_back(absl::StrCat("jump: ", QuotedList(arguments.jump)));
    // Other ways to become root ask for a password, or can't be used without a terminal.
    const std::optional<bool> become = variables.Boolean({"ansible_become"});
    const std::string method = variables.Text({"ansible_become_method"});
    if (become.value_or(false) && !method.empty() && method != "sudo" && method != "ansible.builtin.sudo") {
      variables.Fail(absl::StrCat("found ", method, ", expected sudo"), "certcast becomes root by `sudo -n` alone");
    }
    if (become.has_value()) options.push_back(absl::StrCat("sudo: ", *become ? "true" : "false"));
    return options.empty() ? "" : absl::StrCat(", ssh: {", absl::StrJoin(options, ", "), "}");
  }

  std::string LabelsOf(const std::string& name, Variables& variables) {
    std::map<std::string, std::string> labels;
    for (const std::string& group : groups_[name]) labels[group] = "member";
    for (const auto& [key, value] : defaults_.labels) labels[key] = value;
    for (const auto& [key, value] : variables.Map("certcast_labels")) labels[key] = value;
    if (labels.empty()) return "";
    return absl::StrCat(", labels: {",
                        absl::StrJoin(labels, ", ",
                                      [](std::string* out, const auto& label) {
                                        absl::StrAppend(out, Quote(label.first), ": ", Quote(label.second));
                                      }),
                        "}");
  }

  std::string VerifyOf(const std::string& host, Variables& variables) const {
    std::vector<std::string> addresses = variables.Texts("certcast_verify").value_or(defaults_.verify);
    for (std::string& address : addresses) {
      if (absl::StartsWith(address, ":")) address = absl::StrCat(Bracketed(host), address);
    }
    return addresses.empty() ? "" : absl::StrCat(", verify: ", QuotedList(addresses));
  }

  const Json& json_;
  const InventoryDefaults& defaults_;
  const std::string home_;
  Errors errors_;
  std::map<std::string, std::set<std::string>> groups_;
};

}  // namespace

absl::StatusOr<std::vector<InventoryHost>> ParseAnsibleInventory(absl::string_view json, const std::string& path,
                                                                 const InventoryDefaults& defaults,
                                                                 const std::string& home) {
  Json parsed;
  try {
    parsed = Json::parse(json.begin(), json.end());
  } catch (const nlohmann::json::exception& error) {
    // `[json.exception.parse_error.101] parse error at line 1, column 2: ...`
    const std::string what = error.what();
    const size_t place = what.find("parse error");
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected the JSON of an inventory, found no JSON: ",
                                                   what.substr(place == std::string::npos ? 0 : place).substr(0, 300),
                                                   "; ", kMadeBy));
  }
  return Inventory(parsed, path, defaults, home).Read();
}

absl::StatusOr<std::vector<InventoryHost>> ReadAnsibleInventory(const std::string& path,
                                                                const InventoryDefaults& defaults) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IWOTH) != 0) {
    return FailInput(absl::StrCat("reading ", path, ": everybody may write to it"),
                     absl::StrCat("it says where keys are sent: chmod o-w ", path));
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  const absl::StatusOr<std::string> text =
      ReadWholeFile(FileSystem::Real(), error ? path : absolute.lexically_normal().string(), kMaxFile);
  if (!text.ok()) {
    const v1::Failure failure = FailureOf(text.status());
    return FailInput(failure.detail(), failure.hint().empty() ? kMadeBy : failure.hint());
  }
  const char* home = std::getenv("HOME");
  return ParseAnsibleInventory(*text, path, defaults, home == nullptr ? "" : home);
}

}  // namespace certcast::controller
