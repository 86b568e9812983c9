// A line of progress.
#ifndef CERTCAST_CONTROLLER_API_NOTE_H_
#define CERTCAST_CONTROLLER_API_NOTE_H_

#include <string>
#include <utility>

#include "certcast/v1/api.pb.h"

namespace certcast::controller {

// What it is about may be left out.
inline v1::ApplyEvent::Progress MakeNote(std::string text, const std::string& certificate = "",
                                         const std::string& rollout_id = "") {
  v1::ApplyEvent::Progress note;
  note.set_phase(v1::ApplyEvent::Progress::NOTE);
  note.set_certificate(certificate);
  note.set_rollout_id(rollout_id);
  note.set_text(std::move(text));
  return note;
}

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_NOTE_H_
