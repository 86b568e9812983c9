#include "controller/cli/holders.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {

void PrintHolders(std::ostream& out, const google::protobuf::RepeatedPtrField<v1::Holder>& holders) {
  constexpr int kMost = 50;
  for (int i = 0; i < holders.size() && i < kMost; ++i) {
    const v1::Holder& holder = holders[i];
    std::string line = absl::StrCat("  ", holder.node());
    if (!holder.address().empty()) absl::StrAppend(&line, " at ", holder.address(), " ", holder.server_name());
    absl::StrAppend(&line, " ", v1::Holder::Kind_Name(holder.kind()));
    if (holder.generation() != 0) absl::StrAppend(&line, " generation ", holder.generation());
    absl::StrAppend(&line, ": ", holder.detail());
    out << Printable(std::move(line)) << "\n";
  }
  if (holders.size() > kMost) out << "  ... and " << holders.size() - kMost << " more (-o json has all)\n";
}

}  // namespace certcast::controller::cli
