// Looks for secrets where none may be.
#ifndef CERTCAST_TESTS_TESTING_LEAKS_H_
#define CERTCAST_TESTS_TESTING_LEAKS_H_

#include <string>
#include <vector>

namespace certcast::testing {

// The body lines of every PEM private key in a file below `folder`.
std::vector<std::string> PrivateKeyLinesBelow(const std::string& folder);

// Which secrets are where they may not be, below `folder`, a line each: a file that group or others may read, one whose
// name ends in one of `public_suffixes` (logs, captured output), or below one of `sealed_folders` (where all is
// encrypted).
std::vector<std::string> FindLeaks(const std::string& folder, const std::vector<std::string>& secrets,
                                   const std::vector<std::string>& public_suffixes,
                                   const std::vector<std::string>& sealed_folders);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_LEAKS_H_
