#include "node/engine/lock.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using testing::IsOk;

TEST(StateLocker, OneHoldsItAtATime) {
  const testing::TemporaryDirectory state;
  auto first = StateLocker::Real().Lock(state.path());
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(StateLocker::Real().Lock(state.path()), HasReason(Reason::BUSY));
  first->reset();
  EXPECT_THAT(StateLocker::Real().Lock(state.path()), IsOk());
}

TEST(StateLocker, NamesTheDirectoryThatIsNotThere) {
  EXPECT_THAT(StateLocker::Real().Lock("/nowhere/at/all"),
              HasReason(Reason::STORAGE_FAILED, ::testing::HasSubstr("/nowhere/at/all/lock")));
}

}  // namespace
}  // namespace certcast::node
