// The version of both programs.
#ifndef CERTCAST_COMMON_VERSION_VERSION_H_
#define CERTCAST_COMMON_VERSION_VERSION_H_

namespace certcast {

// Semantic versioning; CHANGELOG.md says what is in it.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace certcast

#endif  // CERTCAST_COMMON_VERSION_VERSION_H_
