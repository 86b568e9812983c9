#include "tests/simulation/node_rules.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "certcast/v1/bundle.pb.h"
#include "tests/simulation/certificates.h"

namespace certcast::simulation {
namespace {

int GenerationIn(const v1::Install& install) {
  v1::Manifest manifest;
  return manifest.ParseFromString(install.bundle().manifest()) ? static_cast<int>(manifest.generation()) : 0;
}

// 0: not one that changes anything.
int SubjectOf(const v1::Command& command) {
  if (command.has_install()) return GenerationIn(command.install());
  if (command.has_confirm()) return static_cast<int>(command.confirm().generation());
  if (command.has_revert()) return static_cast<int>(command.revert().generation());
  return 0;
}

}  // namespace

NodeRules::NodeRules(std::string node, int certificate, std::vector<std::string> services, bool copies, uint64_t& epoch,
                     Referee& referee)
    : node_(std::move(node)),
      certificate_(certificate),
      services_(std::move(services)),
      copies_(copies),
      referee_(referee),
      epoch_(epoch) {
  for (const std::string& service : services_) files_[service] = 0;
}

void NodeRules::CommandBegins(const v1::Command& command) {
  const int subject = SubjectOf(command);
  if (subject == 0) return;
  commands_.push_back({command.id(), command.has_install() ? subject : 0, command.epoch()});
  if (command.epoch() < epoch_) return;
  if (command.has_confirm() && AllHold(subject)) confirming_ = subject;
  if (command.has_revert() && subject == good_.back() && good_.size() > 1) leaving_ = subject;
}

void NodeRules::CommandEnds(const v1::Command& command, const v1::Report* report) {
  if (SubjectOf(command) == 0) return;
  const auto same = [&](const Told& told) { return told.id == command.id(); };
  const auto found = std::find_if(commands_.begin(), commands_.end(), same);
  if (found != commands_.end()) commands_.erase(found);
  if (report == nullptr || !report->has_install_result()) return;
  if (command.epoch() < epoch_) {
    return referee_.Break("fencing", absl::StrCat(node_, " obeyed a command of epoch ", command.epoch(),
                                                  " after one of ", epoch_, ": ", command.id()));
  }
  epoch_ = command.epoch();
  // One that it has answered before says what was so then.
  if (!answered_.insert(command.id()).second) return;
  const v1::InstallResult& result = report->install_result();
  if (command.has_install()) EndOfInstall(command, result);
  if (command.has_confirm()) EndOfConfirm(command, result);
  if (command.has_revert()) EndOfRevert(command, result);
}

void NodeRules::EndOfInstall(const v1::Command& command, const v1::InstallResult& result) {
  const int generation = GenerationIn(command.install());
  const bool good = result.outcome() == v1::Outcome::INSTALLED || result.outcome() == v1::Outcome::UNCHANGED;
  if (!good) {
    if (AllHold(good_.back())) target_ = 0;
    return;
  }
  ++installs_;
  if (!AllHold(generation)) {
    return referee_.Break("success is what is there",
                          absl::StrCat(node_, " says ", v1::Outcome::Code_Name(result.outcome()), " of generation ",
                                       generation, "; ", Where()));
  }
  for (const std::string& service : services_) {
    if (seen_[service] == generation) continue;
    return referee_.Break("success is what was seen",
                          absl::StrCat(node_, " says ", v1::Outcome::Code_Name(result.outcome()), " of generation ",
                                       generation, ", which ", service, " was not seen to serve"));
  }
}

void NodeRules::EndOfConfirm(const v1::Command& command, const v1::InstallResult& result) {
  if (result.outcome() != v1::Outcome::INSTALLED && result.outcome() != v1::Outcome::UNCHANGED) return;
  ++confirms_;
  NowGood(static_cast<int>(command.confirm().generation()));
}

void NodeRules::EndOfRevert(const v1::Command& command, const v1::InstallResult& result) {
  const int generation = static_cast<int>(command.revert().generation());
  if (result.outcome() != v1::Outcome::REVERTED && result.outcome() != v1::Outcome::UNCHANGED) return;
  ++reverts_;
  target_ = 0;
  if (good_.back() == generation && good_.size() > 1 && AllHold(good_[good_.size() - 2])) good_.pop_back();
  leaving_ = 0;
  if (AllHold(good_.back())) return;
  if (result.outcome() == v1::Outcome::REVERTED) {
    referee_.Break("success is what is there",
                   absl::StrCat(node_, " says that it went back from generation ", generation, "; ", Where()));
  }
}

void NodeRules::NowGood(int generation) {
  if (good_.back() == generation) {
    target_ = 0;
    return;
  }
  if (!AllHold(generation)) {
    return referee_.Break("confirmed is what is there",
                          absl::StrCat(node_, " has confirmed generation ", generation, "; ", Where()));
  }
  for (const std::string& service : services_) {
    if (seen_[service] == generation) continue;
    return referee_.Break("confirmed is what was seen",
                          absl::StrCat(node_, " has confirmed generation ", generation,
                                       ", which its own probe did not see ", service, " serve"));
  }
  good_.push_back(generation);
  target_ = 0;
  confirming_ = 0;
}

void NodeRules::FilesHold(const std::string& service, int generation, bool idle) {
  int& held = files_[service];
  // Copies are replaced one by one.
  if (generation < 0 && copies_ && !idle) return;
  if (generation == held) return;
  if (generation < 0) {
    const char* const what = generation == kMixedFiles ? "key and chain of two generations" : "no whole generation";
    return referee_.Break("one complete generation", absl::StrCat(node_, ": ", service, "'s files hold ", what));
  }
  const int before = std::exchange(held, generation);
  seen_.erase(service);
  Flip(service, before, generation);
}

void NodeRules::Flip(const std::string& service, int from, int to) {
  if (MayHold(to)) return;
  const bool down = to < from;
  referee_.Break(down ? "last-good is not touched" : "only what was told",
                 absl::StrCat(node_, ": ", service, "'s files went from generation ", from, " to ", to, "; ", Where()));
}

bool NodeRules::MayHold(int generation) {
  // Of several that wait for each other nobody outside can say which one it is for.
  bool is_told = false, is_current = false;
  for (const Told& told : commands_) {
    if (told.installs == 0 || told.installs != generation) continue;
    is_told = true;
    is_current = is_current || told.epoch >= epoch_;
  }
  if (is_told) {
    if (generation < highest_) {
      referee_.Break("no downgrade", absl::StrCat(node_, " installs generation ", generation, " after ", highest_));
    }
    if (!is_current) referee_.Break("fencing", absl::StrCat(node_, " installs for an epoch before ", epoch_));
    target_ = generation;
    highest_ = generation;
    return true;
  }
  if (generation == good_.back()) return true;
  // Recorded, though the answer to Confirm did not say so.
  if (generation != 0 && generation == confirming_ && generation == target_) {
    good_.push_back(generation);
    return true;
  }
  // Told to leave a confirmed one; or back to it, since the way failed.
  return leaving_ != 0 && good_.size() > 1 && generation == good_[good_.size() - 2];
}

void NodeRules::Seen(const std::string& service, int generation) {
  seen_[service] = generation;
}

void NodeRules::Reloaded(const std::string& service, int files) {
  // One that came twice, over two connections, is one.
  std::set<std::string> counted;
  for (const Told& told : commands_) {
    if (told.installs == 0 || told.installs != files || files == good_.back()) continue;
    if (!counted.insert(told.id).second || ++reloads_[{told.id, service}] < 2) continue;
    referee_.Break("nothing twice", absl::StrCat(node_, " told ", service, " to take up generation ", files,
                                                 " a second time for ", told.id));
  }
}

void NodeRules::Started(const v1::Inventory& inventory) {
  // Those of the process that is gone.
  commands_.clear();
  for (const v1::Inventory::Certificate& has : inventory.certificates()) {
    if (has.name() != NameOfCertificate(certificate_)) continue;
    const int generation = static_cast<int>(has.generation());
    if (static_cast<int>(has.highest_generation()) < highest_) {
      referee_.Break("no downgrade", absl::StrCat(node_, " has forgotten that it accepted generation ", highest_));
    }
    if (leaving_ != 0 && good_.size() > 1 && generation == good_[good_.size() - 2]) good_.pop_back();
    leaving_ = 0;
    if (generation == good_.back()) {
      if (AllHold(generation)) target_ = 0;
      continue;
    }
    if (!has.confirmed()) continue;
    if (generation != confirming_) {
      referee_.Break("confirmed by the controller alone",
                     absl::StrCat(node_, " has generation ", generation, " confirmed, and nobody told it to"));
    }
    NowGood(generation);
  }
}

bool NodeRules::AllHold(int generation) const {
  return std::all_of(services_.begin(), services_.end(),
                     [&](const std::string& service) { return files_.at(service) == generation; });
}

std::string NodeRules::Where() const {
  return absl::StrCat(NameOfCertificate(certificate_), " confirmed: ", absl::StrJoin(good_, " "),
                      "; at work: ", target_, "; to be left: ", leaving_,
                      "; files: ", absl::StrJoin(files_, " ", absl::PairFormatter("=")));
}

}  // namespace certcast::simulation
