// Which certcast-node a host has.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_AGENT_ON_HOST_H_
#define CERTCAST_CONTROLLER_TRANSPORT_AGENT_ON_HOST_H_

#include <string>

namespace certcast::controller {

struct AgentOnHost {
  enum class State {
    kCurrent,   // the one of this controller was there
    kUploaded,  // it is there now
    kMissing,   // it is not there, and was not to be uploaded
    kOwn,       // the login leads to an agent that the host has by itself: nothing is put there
  };
  State state = State::kCurrent;
  // Of the one of this controller; empty with kOwn.
  std::string sha256;
  // Of the one that was there instead; empty when there was none, and unless it is kUploaded or kMissing.
  std::string previous_sha256;
  // What the agent that answered says of itself; empty with kMissing.
  std::string version;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_AGENT_ON_HOST_H_
