// The first of many names: enough to look at, however many there are.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_FIRST_NAMES_H_
#define CERTCAST_CONTROLLER_ROLLOUT_FIRST_NAMES_H_

#include <cstddef>
#include <set>
#include <string>

namespace certcast::controller {

// Thread-compatible.
class FirstNames {
 public:
  // As many as are shown anywhere; all are in `-o json`.
  static constexpr size_t kMost = 20;

  void Add(const std::string& name) {
    names_.insert(name);
    if (names_.size() > kMost) names_.erase(std::prev(names_.end()));
  }
  void Clear() { names_.clear(); }
  // By name, each once.
  const std::set<std::string>& get() const { return names_; }

 private:
  std::set<std::string> names_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_FIRST_NAMES_H_
