// Linked to a test, this has it run as the agent over SSH does: with the algorithms of StartOpensslBriefly alone.
#include "common/x509/key_library.h"

namespace certcast::testing {
namespace {

[[maybe_unused]] const bool started = [] {
  StartOpensslBriefly();
  return true;
}();

}  // namespace
}  // namespace certcast::testing
