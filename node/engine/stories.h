// What the tables of crashes and faults are made of: things that a node does, each run again and again with something
// going wrong at another one of its file operations, and what must hold whatever goes wrong.
#ifndef CERTCAST_NODE_ENGINE_STORIES_H_
#define CERTCAST_NODE_ENGINE_STORIES_H_

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"

namespace certcast::node {

// The generation whose certificate was put there by hand.
inline constexpr uint64_t kByHand = 100;

// Something that is interrupted, from a node that is ready for it. Its services are nginx and haproxy.
struct Story {
  std::string name;
  std::function<void(SimulatedNode&)> prepare;
  std::function<void(SimulatedNode&)> act;
  // What services may read at any time.
  std::vector<std::string> before;
  std::string after;
  bool has_copies = false;

  friend std::ostream& operator<<(std::ostream& out, const Story& story) { return out << story.name; }
};

std::vector<Story> StoriesOfLinks();
std::vector<Story> StoriesOfCopies();
// What the story does when nothing goes wrong, as FaultFileSystem names it.
std::vector<std::string> OperationsOf(const Story& story);

// Nodes that a story begins with: with both services; with generation 1 in force; with 2 after it.
void AddBothServices(SimulatedNode& node);
void HaveGenerationOne(SimulatedNode& node);
void HaveGenerationTwo(SimulatedNode& node);

class StoryTest : public ::testing::TestWithParam<Story> {
 protected:
  using OperationFilter = std::function<bool(absl::string_view operation)>;

  // Both services read one of the story's sets.
  static void ExpectWhole(SimulatedNode& node);
  // The same, where the end came between two renames of copies, which no process was there to follow up.
  static void ExpectWholeUnlessCutOff(SimulatedNode& node);
  // Nothing is under way any more, nothing was left, recovering again changes nothing, and what is in force is told as
  // it is. Of a node that has started again.
  static void ExpectOrder(SimulatedNode& node);
  // And the node is fit for what comes next.
  static void ExpectNextInstallWorks(SimulatedNode& node);

  // The numbers, from 1, of the story's operations that pass the filter when nothing goes wrong.
  static std::vector<int> NumbersOf(const OperationFilter& filter);
  // Runs the story once for each of these, with what `arm` sets up for the operation of that number, as `files` counts
  // it. Stops at the first failed expectation. Adds to the count of cases.
  static void ForEach(const std::vector<int>& operations, const std::function<void(SimulatedNode&, int)>& arm,
                      const std::function<void(SimulatedNode&, int)>& expect);
  // The same for all operations, until one is not reached any more.
  static void ForEachOperation(const std::function<void(SimulatedNode&, int)>& arm,
                               const std::function<void(SimulatedNode&, int)>& expect);

  // Prints how often a story was run, as "cases: 123 of NAME".
  void TearDown() override;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_STORIES_H_
