// Whether what a command printed has arrived.
#ifndef CERTCAST_COMMON_COMMAND_LINE_WRITTEN_H_
#define CERTCAST_COMMON_COMMAND_LINE_WRITTEN_H_

#include "absl/strings/string_view.h"

namespace certcast {

// Writes what std::cout still holds. False where not all of it could be written, of a full disk for instance: then
// standard error says so in the name of `program`, unless the reader of a pipe has gone, as `head` does.
bool WroteStandardOutput(absl::string_view program);

}  // namespace certcast

#endif  // CERTCAST_COMMON_COMMAND_LINE_WRITTEN_H_
