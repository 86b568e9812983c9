// What nodes say, before anybody keeps or shows it.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_CLEAN_REPORT_H_
#define CERTCAST_CONTROLLER_TRANSPORT_CLEAN_REPORT_H_

#include "certcast/v1/link.pb.h"

namespace certcast::controller {

// Makes every text in the report, at any depth, one of common/status/printable.h: a broken or a stolen node writes
// nothing to a terminal but text, and none that makes the record of a rollout too large to be saved.
void CleanReport(v1::Report& report);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_CLEAN_REPORT_H_
