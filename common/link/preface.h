// What comes before the messages of a link over standard input and output (link.proto).
#ifndef CERTCAST_COMMON_LINK_PREFACE_H_
#define CERTCAST_COMMON_LINK_PREFACE_H_

namespace certcast {

// A line of the agent's own: what came before it, a login shell or its profile wrote.
inline constexpr char kLinkPreface[] = "certcast-link 1\n";

}  // namespace certcast

#endif  // CERTCAST_COMMON_LINK_PREFACE_H_
