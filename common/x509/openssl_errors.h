#ifndef CERTCAST_COMMON_X509_OPENSSL_ERRORS_H_
#define CERTCAST_COMMON_X509_OPENSSL_ERRORS_H_

#include <string>

namespace certcast {

// OpenSSL's queued errors of this thread as one line, oldest first, and empties the queue. Empty when there are none.
// A function that handles an OpenSSL error otherwise empties the queue too: what stays is blamed on a later TLS call.
std::string TakeOpensslErrors();

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_OPENSSL_ERRORS_H_
