// The other process of sqlite_store_process_test.
//
//   store_child transactions DIRECTORY N COUNT   COUNT transactions, the k-th of which sets the keys pair/0 to pair/9
//   to k, and
//                                                prints k once it is committed; dies at SQLite's N-th operation (0:
//                                                never)
//   store_child increment DIRECTORY KEY COUNT    adds one to KEY COUNT times, by compare-and-swap
//   store_child hold DIRECTORY                   takes the lease, prints its epoch, and waits until standard input ends
//
// Exits with 1 and the error when something fails; with 0 otherwise, printing how many operations SQLite did.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/store/crashing_vfs.h"
#include "controller/store/sqlite_store.h"

namespace certcast::controller {
namespace {

constexpr int kPairs = 10;

// In one write, so that it is whole or absent whenever this process ends.
void Print(absl::string_view line) {
  const std::string text = absl::StrCat(line, "\n");
  if (write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(3);
}

absl::Status RunTransactions(Store& store, int count) {
  for (int k = 1; k <= count; ++k) {
    Transaction transaction;
    for (int i = 0; i < kPairs; ++i) {
      // Large enough for several pages, and so several writes.
      transaction.writes.push_back({absl::StrCat("pair/", i), absl::StrCat(k, ":", std::string(3000, 'x'))});
    }
    const auto revision = store.Commit(transaction);
    if (!revision.ok()) return revision.status();
    Print(absl::StrCat(k));
  }
  return absl::OkStatus();
}

absl::Status Increment(Store& store, const std::string& key, int count) {
  for (int done = 0; done < count;) {
    const auto record = store.Get(key);
    if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
    int value = 0;
    if (record.ok() && !absl::SimpleAtoi(record->value, &value)) return absl::DataLossError(record->value);
    Transaction transaction;
    transaction.compares.push_back({key, record.ok() ? record->revision : 0});
    transaction.writes.push_back({key, absl::StrCat(value + 1)});
    absl::Status status = store.Commit(transaction).status();
    if (status.ok()) ++done;
    if (!status.ok() && !absl::IsAborted(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status Hold(Store& store) {
  const auto lease = store.TakeLease("certcast apply");
  if (!lease.ok()) return lease.status();
  Print(absl::StrCat((*lease)->epoch()));
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& arguments) {
  const std::string& verb = arguments.at(1);
  int number = 0;
  int count = 0;
  if (verb == "transactions" && absl::SimpleAtoi(arguments.at(3), &number)) CrashAtSqliteOperation(number);
  const auto store = SqliteStore::Open(arguments.at(2), {.make = true});
  if (!store.ok()) return store.status();
  if (verb == "hold") return Hold(**store);
  if (!absl::SimpleAtoi(arguments.at(4), &count)) return absl::InvalidArgumentError(arguments[4]);
  return verb == "increment" ? Increment(**store, arguments[3], count) : RunTransactions(**store, count);
}

}  // namespace
}  // namespace certcast::controller

int main(int argc, char** argv) {
  const absl::Status status = certcast::controller::Run(std::vector<std::string>(argv, argv + argc));
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  std::printf("operations %d\n", certcast::controller::SqliteOperations());
  return 0;
}
