#include "controller/config/ssh_services.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/service/read.h"
#include "common/status/status.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/grammar.h"
#include "common/yaml/write.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxChosen = 64;
// As link.proto says.
constexpr size_t kMaxText = 256 << 10;

std::string Meant(absl::string_view word, const std::vector<absl::string_view>& words) {
  const absl::string_view nearest = NearestWord(word, words);
  return nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "?");
}

}  // namespace

ServiceCatalogue::ServiceCatalogue(const yaml::Value& list)
    : list_(list.WithAbsolutePaths()), services_(ReadServiceCatalogue(list_)) {
  for (size_t i = 0; i < services_.size(); ++i) index_.emplace(services_[i].name, i);
}

const Service* ServiceCatalogue::Find(absl::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &services_[found->second];
}

void ServiceCatalogue::CheckCertificates(const Config& config) const {
  // One without a good name, which has its own error, may be the one that is meant.
  if (config.FindCertificate("") != nullptr) return;
  std::vector<absl::string_view> names;
  for (const CertificateConfig& certificate : config.certificates) names.push_back(certificate.name);
  const std::vector<yaml::Value> places = list_.Children();
  const auto check = [&](const std::string& name, const yaml::Value& owner) {
    if (name.empty() || config.FindCertificate(name) != nullptr) return;
    yaml::Map(owner)
        .Find("certificate")
        .FailExpected("the name of a certificate under `certificates`", Meant(name, names));
  };
  for (size_t i = 0; i < services_.size(); ++i) {
    check(services_[i].certificate, places[i]);
    // Those of probes are among those of files.
    const std::vector<yaml::Value> files = yaml::Map(places[i]).Find("files").Children();
    for (size_t j = 0; j < services_[i].files.size(); ++j) check(services_[i].files[j].certificate, files[j]);
  }
}

void ServiceCatalogue::Choose(const yaml::Value& place, const Config& config, SshNode& node) {
  yaml::FirstSeen seen("the service");
  bool good = place.is_list();
  for (const yaml::Value& item : place.Items("a list of at least one service name", 1, kMaxChosen)) {
    const std::string name = item.Name();
    good = seen.Add(name, item) && !name.empty() && good;
    node.services.push_back(name);
    if (name.empty() || Find(name) != nullptr || Find("") != nullptr) continue;
    good = false;
    std::vector<absl::string_view> names;
    for (const Service& service : services_) names.push_back(service.name);
    item.FailExpected("the name of a service under the file's `services`", Meant(name, names));
  }
  // A service without a good name, which has its own error, may be one that is meant.
  if (!good || Find("") != nullptr) return;
  std::set<std::string> allowed(node.allow_names.begin(), node.allow_names.end());
  for (const std::string& name : node.services) {
    for (const std::string& used : Find(name)->Certificates()) {
      const CertificateConfig* certificate = config.FindCertificate(used);
      if (certificate != nullptr) allowed.insert(certificate->domains.begin(), certificate->domains.end());
    }
  }
  node.allow_names.assign(allowed.begin(), allowed.end());
  const auto [choice, is_new] = choices_.try_emplace({node.state, node.services});
  if (is_new) choice->second = MakeChoice(node.services, node.state);
  place.Fail(choice->second.status);
  node.services_yaml = choice->second.text;
}

ServiceCatalogue::Choice ServiceCatalogue::MakeChoice(const std::vector<std::string>& names,
                                                      const std::string& state) const {
  const std::vector<yaml::Value> places = list_.Children();
  std::vector<const Service*> chosen;
  std::string text;
  for (const std::string& name : names) {
    const size_t i = index_.find(name)->second;
    chosen.push_back(&services_[i]);
    absl::StrAppend(&text, "- ", yaml::WriteFlow(places[i]), "\n");
  }
  Choice choice{.status = CheckFilesTogether(chosen, state)};
  if (text.size() > kMaxText) {
    choice.status = FailInput(absl::StrCat("found services of ", text.size(), " bytes together, expected at most ",
                                           kMaxText, " for one node"));
  }
  choice.text = std::make_shared<const std::string>(std::move(text));
  return choice;
}

bool ServiceCatalogue::Uses(const SshNode& node, absl::string_view certificate, const Config& config) const {
  for (const std::string& name : node.services) {
    const Service* service = Find(name);
    // What is not known has its own error, and may be what is meant.
    if (service == nullptr || service->files.empty()) return true;
    for (const std::string& used : service->Certificates()) {
      if (used == certificate || config.FindCertificate(used) == nullptr) return true;
    }
  }
  return node.services.empty();
}

}  // namespace certcast::controller
