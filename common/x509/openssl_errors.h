#ifndef CERTCAST_COMMON_X509_OPENSSL_ERRORS_H_
#define CERTCAST_COMMON_X509_OPENSSL_ERRORS_H_

#include <string>

namespace certcast {

// OpenSSL's queued errors of this thread as one line, oldest first, and empties the queue. Empty when there are none.
// A function that handles an OpenSSL error otherwise empties the queue too: what stays is blamed on a later TLS call.
std::string TakeOpensslErrors();

// What such a code says, as ERR_reason_error_string has it; nullptr when nothing is known of it. The texts are there
// also where StartOpensslBriefly left them out: the first call loads them.
const char* OpensslReason(unsigned long code);

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_OPENSSL_ERRORS_H_
