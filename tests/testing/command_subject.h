// Part of fake_link.h: what FakeNode and its links have in common.
#ifndef CERTCAST_TESTS_TESTING_COMMAND_SUBJECT_H_
#define CERTCAST_TESTS_TESTING_COMMAND_SUBJECT_H_

#include <cstdint>
#include <string>
#include <utility>

#include "certcast/v1/link.pb.h"

namespace certcast::testing {

// Which certificate and generation a command is about; "" and 0 for those that are about none.
std::pair<std::string, uint64_t> SubjectOf(const v1::Command& command);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_COMMAND_SUBJECT_H_
