#include "common/x509/pem.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {
namespace {

constexpr absl::string_view kBegin = "-----BEGIN ";
constexpr absl::string_view kDashes = "-----";
constexpr size_t kMaxLabel = 64;

// Stricter than RFC 7468 section 3, since errors quote labels: base64 that a lost line end made part of the BEGIN line
// may be of a private key. All labels that are in use pass: "X509 CRL", "PKCS #7 SIGNED DATA".
bool IsLabel(absl::string_view label) {
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return absl::ascii_isupper(c) || absl::ascii_isdigit(c) || c == ' ' || c == '#'; });
}

// Takes one block off the front of `rest`, which begins with kBegin.
absl::StatusOr<PemBlock> TakeBlock(absl::string_view& rest) {
  const absl::string_view after_begin = rest.substr(kBegin.size());
  const size_t label_size = after_begin.substr(0, kMaxLabel + kDashes.size()).find(kDashes);
  if (label_size == absl::string_view::npos)
    return Fail(Reason::MALFORMED, "PEM: a BEGIN line that does not end in -----");
  PemBlock block;
  block.label = after_begin.substr(0, label_size);
  if (!IsLabel(block.label)) {
    return Fail(Reason::MALFORMED, "PEM: a BEGIN line with something else than a label in capital letters",
                "is the file damaged?");
  }
  const std::string end_line = absl::StrCat("-----END ", block.label, kDashes);
  const size_t end = rest.find(end_line);
  const size_t next = rest.find(kBegin, kBegin.size());
  if (end == absl::string_view::npos || next < end) {
    return Fail(Reason::MALFORMED, absl::StrCat("PEM: ", block.label, " has no END line"), "is the file cut off?");
  }
  block.text = rest.substr(0, end + end_line.size());
  rest.remove_prefix(block.text.size());
  return block;
}

}  // namespace

absl::StatusOr<std::vector<PemBlock>> SplitPem(absl::string_view pem, size_t limit) {
  if (pem.size() > limit) return Fail(Reason::MALFORMED, absl::StrCat("PEM: larger than ", limit, " bytes"));
  std::vector<PemBlock> blocks;
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(pem);
  while (!rest.empty()) {
    if (!absl::StartsWith(rest, kBegin)) {
      return Fail(
          Reason::MALFORMED,
          absl::StrCat("PEM: ", blocks.empty() ? "text before the first block" : "text between or after the blocks",
                       ", at byte ", pem.size() - rest.size() + 1),
          "leave only the -----BEGIN ... to -----END ... blocks");
    }
    ASSIGN_OR_RETURN(const PemBlock block, TakeBlock(rest));
    blocks.push_back(block);
    rest = absl::StripLeadingAsciiWhitespace(rest);
  }
  return blocks;
}

absl::StatusOr<std::string> DecodePem(const PemBlock& block) {
  // OpenSSL reads it, so that what passes here passes in the services too.
  const SslPtr<BIO> bio(BIO_new_mem_buf(block.text.data(), static_cast<int>(block.text.size())));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  const bool read = bio != nullptr && PEM_read_bio(bio.get(), &name, &header, &data, &size) == 1;
  const auto release = absl::MakeCleanup([&] {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
  });
  if (!read) return Fail(Reason::MALFORMED, absl::StrCat("PEM: ", block.label, ": ", TakeOpensslErrors()));
  if (*header != '\0') return Fail(Reason::MALFORMED, absl::StrCat("PEM: ", block.label, " has headers"));
  if (name != block.label || BIO_pending(bio.get()) != 0) {
    return Fail(Reason::MALFORMED, absl::StrCat("PEM: ", block.label, " is not one well-formed block"));
  }
  return std::string(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
}

std::string EncodePem(absl::string_view label, absl::string_view bytes) {
  const SslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  const std::string name(label);
  PEM_write_bio(bio.get(), name.c_str(), "", reinterpret_cast<const unsigned char*>(bytes.data()),
                static_cast<long>(bytes.size()));
  // A block of nothing is written, and called a failure.
  if (bytes.empty()) TakeOpensslErrors();
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

}  // namespace certcast
