// Tables for people.
#ifndef CERTCAST_CONTROLLER_CLI_TABLE_H_
#define CERTCAST_CONTROLLER_CLI_TABLE_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/status/count.h"
#include "google/protobuf/timestamp.pb.h"

namespace certcast::controller::cli {

// Columns as wide as their widest cell, two spaces between, none behind the last. Control characters in cells (they may
// come from a node or a server) are printed as `?`.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void AddRow(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// `text` with control characters as `?`: it may come from a node, a server or a CA.
std::string Printable(std::string text);
// Each line of `text` behind `prefix`, printable; without the empty ones.
void PrintLines(std::ostream& out, absl::string_view prefix, absl::string_view text);
// The first 16 hex digits, `-` for none: enough to compare by eye; `-o json` has all.
std::string ShortFingerprint(absl::string_view sha256);
// RFC 3339 in UTC to the second, `-` for none.
std::string ShowTime(const google::protobuf::Timestamp& time);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_TABLE_H_
