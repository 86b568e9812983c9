// Numbers that follow from a seed alone, on every machine.
#ifndef CERTCAST_TESTS_SIMULATION_DICE_H_
#define CERTCAST_TESTS_SIMULATION_DICE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace certcast::simulation {

// splitmix64. Each part of a run has dice of its own, so that leaving one fault out changes little else.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  Dice(uint64_t seed, uint64_t part) : state_(seed ^ (part + 1) * 0xd1342543de82ef95u) { Next(); }

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }
  // From `least` to `most`, both included.
  int Between(int least, int most) {
    return least + static_cast<int>(Next() % static_cast<uint64_t>(most - least + 1));
  }
  absl::Duration Between(absl::Duration least, absl::Duration most) {
    const int64_t span = absl::ToInt64Microseconds(most - least);
    return least + absl::Microseconds(static_cast<int64_t>(Next() % static_cast<uint64_t>(span + 1)));
  }
  bool OneIn(int n) { return Next() % static_cast<uint64_t>(n) == 0; }
  template <typename T>
  const T& Of(const std::vector<T>& choices) {
    return choices[Next() % choices.size()];
  }

 private:
  uint64_t state_;
};

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_DICE_H_
