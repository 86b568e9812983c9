// The journal and the node's state as a crash, a bad disk or an older or newer agent left them: two slots, each
// missing, blank, torn, damaged or whole.
#include "node/engine/journal.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/x509/digest.h"
#include "node/engine/node_state.h"
#include "node/engine/reserved_record.h"
#include "tests/fuzz/target.h"
#include "tests/testing/memory_file_system.h"

namespace certcast::fuzz {
namespace {

constexpr char kDirectory[] = "/state";
constexpr size_t kSlotBytes = 1024;
constexpr uint32_t kSchema = 1;
constexpr size_t kHeaderBytes = 88;

std::string LittleEndian(uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> (8 * i) & 0xff);
  return text;
}

uint64_t ParseLittleEndian(absl::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes.size(); ++i) number |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return number;
}

// As reserved_record.h describes a slot.
std::string SlotOf(uint32_t schema, uint64_t sequence, absl::string_view payload) {
  const std::string numbers =
      absl::StrCat(LittleEndian(schema, 4), LittleEndian(payload.size(), 4), LittleEndian(sequence, 8));
  return absl::StrCat("certcast", numbers, Sha256Hex(absl::StrCat(numbers, payload)), payload);
}

struct WholeSlot {
  uint64_t schema;
  uint64_t sequence;
  std::string payload;
};

// The same read back, written a second time from the description, so that the reader is not compared with itself.
std::optional<WholeSlot> ReadSlot(absl::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !absl::StartsWith(bytes, "certcast")) return std::nullopt;
  const uint64_t length = ParseLittleEndian(bytes.substr(12, 4));
  if (length > bytes.size() - kHeaderBytes) return std::nullopt;
  WholeSlot slot = {.schema = ParseLittleEndian(bytes.substr(8, 4)),
                    .sequence = ParseLittleEndian(bytes.substr(16, 8)),
                    .payload = std::string(bytes.substr(kHeaderBytes, length))};
  const std::string again = SlotOf(static_cast<uint32_t>(slot.schema), slot.sequence, slot.payload);
  if (absl::StartsWith(bytes, again)) return slot;
  return std::nullopt;
}

// What one slot's file holds; nullopt: it is missing.
using SlotFile = std::optional<std::string>;

// Seven kinds, as a byte says.
SlotFile TakeSlot(InputReader& reader, size_t slot_bytes) {
  enum Kind : unsigned { kMissing, kBlank, kRaw, kWhole, kTorn, kFlipped, kCut, kKinds };
  const unsigned kind = reader.Byte() % kKinds;
  if (kind == kMissing) return std::nullopt;
  std::string blank(slot_bytes, '\0');
  if (kind == kBlank) return blank;
  if (kind == kRaw) return std::string(reader.Piece().substr(0, slot_bytes));
  const uint32_t schema = reader.Byte() % 3;
  const uint64_t sequence = reader.Word();
  const size_t at = reader.Word();
  const char flip = static_cast<char>(1 << (reader.Byte() % 8));
  std::string slot = SlotOf(schema, sequence, reader.Piece().substr(0, slot_bytes - kHeaderBytes));
  if (kind == kCut) return slot.substr(0, at % (slot.size() + 1));
  // Over what was there before, as it is written.
  std::string bytes = std::move(blank);
  bytes.replace(0, slot.size(), slot);
  if (kind == kTorn) {
    const size_t written = at % (slot.size() + 1);
    const std::string before = SlotOf(kSchema, sequence / 2, std::string(slot_bytes / 2, 'b'));
    bytes.replace(0, std::min(before.size(), bytes.size()), before.substr(0, bytes.size()));
    bytes.replace(0, written, slot.substr(0, written));
  }
  if (kind == kFlipped) bytes[at % slot.size()] ^= flip;
  return bytes;
}

void Put(testing::MemoryFileSystem& disk, absl::string_view name, const std::array<SlotFile, 2>& slots) {
  disk.PutDirectory(kDirectory, {.mode = 0700});
  for (int i = 0; i < 2; ++i) {
    if (slots[i].has_value()) disk.PutFile(absl::StrCat(kDirectory, "/", name, ".", i), *slots[i], {.mode = 0600});
  }
}

absl::StatusOr<node::ReservedRecord> Open(testing::MemoryFileSystem& disk, bool read_only) {
  auto directory = disk.OpenDirectory(kDirectory).value();
  return read_only ? node::ReservedRecord::OpenReadOnly(std::move(directory), "record", kSlotBytes, kSchema)
                   : node::ReservedRecord::Open(std::move(directory), "record", kSlotBytes, kSchema);
}

// The payloads that may be read: of the whole slots those with the highest sequence.
std::vector<std::string> Newest(const std::array<SlotFile, 2>& slots) {
  uint64_t highest = 0;
  std::vector<std::string> newest;
  for (const SlotFile& file : slots) {
    const std::optional<WholeSlot> slot = file.has_value() ? ReadSlot(*file) : std::nullopt;
    if (!slot.has_value() || slot->sequence < highest) continue;
    if (slot->sequence > highest) newest.clear();
    highest = slot->sequence;
    newest.push_back(slot->payload);
  }
  return newest;
}

bool IsAnyWholeAndNewer(const std::array<SlotFile, 2>& slots) {
  return std::any_of(slots.begin(), slots.end(), [](const SlotFile& file) {
    const std::optional<WholeSlot> slot = file.has_value() ? ReadSlot(*file) : std::nullopt;
    return slot.has_value() && slot->schema > kSchema;
  });
}

std::array<SlotFile, 2> Files(testing::MemoryFileSystem& disk) {
  return {disk.GetFile(absl::StrCat(kDirectory, "/record.0")), disk.GetFile(absl::StrCat(kDirectory, "/record.1"))};
}

// Power is lost after `written` bytes of the slot that a write went to.
void TryTorn(const std::array<SlotFile, 2>& before, const std::array<SlotFile, 2>& after, size_t written,
             absl::string_view old_payload, absl::string_view new_payload) {
  std::array<SlotFile, 2> torn = before;
  for (int i = 0; i < 2; ++i) {
    if (before[i] == after[i]) continue;
    // A part of a write over what was damaged can make that whole again, which is as right.
    const bool blank = before[i]->find_first_not_of('\0') == std::string::npos;
    if (!blank && !ReadSlot(*before[i]).has_value()) return;
    torn[i] = absl::StrCat(after[i]->substr(0, written), before[i]->substr(std::min(written, before[i]->size())));
  }
  testing::MemoryFileSystem disk;
  Put(disk, "record", torn);
  const auto record = Open(disk, /*read_only=*/false);
  Require(record.ok(), "a record can be read after a write that was torn");
  Require(record->payload() == old_payload || record->payload() == new_payload,
          "what a torn write leaves is what was there before or what was written");
}

void TryRecord(InputReader reader) {
  const std::array<SlotFile, 2> slots = {TakeSlot(reader, kSlotBytes), TakeSlot(reader, kSlotBytes)};
  const size_t written = reader.Word() % kSlotBytes;
  testing::MemoryFileSystem disk;
  Put(disk, "record", slots);
  const auto looked = Open(disk, /*read_only=*/true);
  Require(Files(disk) == slots, "who only looks changes nothing");
  auto record = Open(disk, /*read_only=*/false);
  RequireOrderly(record.status());
  Require(looked.ok() == record.ok(), "who only looks sees the same");
  if (!record.ok()) return;
  Require(looked->payload() == record->payload(), "who only looks sees the same");
  const std::vector<std::string> newest = Newest(slots);
  Require(newest.empty() ? record->payload().empty()
                         : std::find(newest.begin(), newest.end(), record->payload()) != newest.end(),
          "what is read is the newest record that is whole, or nothing was written");
  Require(!IsAnyWholeAndNewer(slots), "what a newer agent wrote is not read");
  const std::array<SlotFile, 2> before = Files(disk);
  const bool full_size = before[0]->size() == kSlotBytes && before[1]->size() == kSlotBytes;
  const std::string old_payload = record->payload();
  const std::string new_payload(reader.Rest().substr(0, record->capacity()));
  const absl::Status saved = record->Write(new_payload);
  RequireOrderly(saved);
  Require(saved.ok() || !full_size, "a record of full size can be written");
  if (!saved.ok()) return;
  const auto again = Open(disk, /*read_only=*/false);
  Require(again.ok() && again->payload() == new_payload, "what was written is read");
  TryTorn(before, Files(disk), written, old_payload, new_payload);
}

void TryJournal(InputReader reader) {
  constexpr size_t kJournalSlot = size_t{64} * 1024;
  const std::array<SlotFile, 2> slots = {TakeSlot(reader, kJournalSlot), TakeSlot(reader, kJournalSlot)};
  testing::MemoryFileSystem disk;
  Put(disk, "journal", slots);
  const auto file = node::JournalFile::Open(disk.OpenDirectory(kDirectory).value(), /*read_only=*/false);
  RequireOrderly(file.status());
  if (!file.ok()) return;
  node::Journal journal = (*file)->Get();
  Require(node::Journal::Step_IsValid(journal.step()), "a journal's step is one that recovery knows");
  const absl::Status saved = (*file)->Save(journal);
  RequireOrderly(saved);
  if (!saved.ok()) return;
  const auto again = node::JournalFile::Open(disk.OpenDirectory(kDirectory).value(), /*read_only=*/false);
  Require(again.ok() && (*again)->Get().SerializeAsString() == (*file)->Get().SerializeAsString(),
          "a journal that was saved is read");
  journal.clear_before();
  node::Journal read = (*again)->Get();
  read.clear_before();
  journal.set_schema(kSchema);
  Require(read.SerializeAsString() == journal.SerializeAsString(), "saving keeps all that recovery needs");
}

void TryState(InputReader reader) {
  constexpr size_t kStateSlot = size_t{256} * 1024;
  const std::array<SlotFile, 2> slots = {TakeSlot(reader, kStateSlot), TakeSlot(reader, kStateSlot)};
  testing::MemoryFileSystem disk;
  Put(disk, "state", slots);
  const auto file = node::NodeStateFile::Open(disk.OpenDirectory(kDirectory).value(), /*read_only=*/false);
  RequireOrderly(file.status());
  if (!file.ok()) return;
  const node::NodeState before = (*file)->Get();
  v1::InstallResult result;
  result.set_certificate("wildcard");
  const absl::Status saved = (*file)->Update([&](node::NodeState& state) {
    node::MutableCertificate(state, "wildcard").set_highest_generation(7);
    node::RememberResult(state, "a-command", result);
  });
  RequireOrderly(saved);
  if (!saved.ok()) {
    Require((*file)->Get().SerializeAsString() == before.SerializeAsString(), "what was not saved has not changed");
    return;
  }
  const auto again = node::NodeStateFile::Open(disk.OpenDirectory(kDirectory).value(), /*read_only=*/false);
  Require(again.ok() && (*again)->Certificate("wildcard").highest_generation() == 7, "what was saved is read");
  Require((*again)->Result("a-command").has_value(), "the latest result is kept");
  Require((*again)->Get().results_size() <= 64, "results are bounded");
  Require((*again)->Get().certificates_size() >= before.certificates_size(), "no certificate is forgotten");
}

std::string TakenApart(char kind, unsigned sequence, absl::string_view payload) {
  return absl::StrCat(std::string{kind, 1, static_cast<char>(sequence), 0, '\x10', 0, 1}, PieceOf(payload));
}

std::string JournalPayload() {
  node::Journal journal;
  journal.set_schema(1);
  journal.set_step(node::Journal::PROBING);
  journal.set_command_id("a-command");
  journal.set_certificate("wildcard");
  journal.mutable_target()->set_generation(8);
  journal.mutable_target()->set_directory("8");
  journal.mutable_baseline()->set_generation(7);
  journal.mutable_baseline()->set_directory("7.1");
  journal.add_reloaded("nginx");
  journal.add_before()->set_probe("tls 127.0.0.1:443");
  return journal.SerializeAsString();
}

std::string StatePayload() {
  node::NodeState state;
  state.set_schema(1);
  state.set_highest_epoch(3);
  node::MutableCertificate(state, "wildcard").mutable_in_force()->set_generation(7);
  v1::InstallResult result;
  result.add_reloaded("nginx");
  node::RememberResult(state, "an-older-command", result);
  return state.SerializeAsString();
}

}  // namespace

// What is read, then the two slots.
std::vector<Seed> Seeds() {
  const std::string journal = JournalPayload();
  const std::string state = StatePayload();
  const auto both = [](char what, char first, char second, absl::string_view payload) {
    return absl::StrCat(std::string(1, what), TakenApart(first, 4, payload), TakenApart(second, 5, payload), "new");
  };
  std::vector<Seed> seeds;
  constexpr char kKinds = 7;
  for (char first = 0; first < kKinds; ++first) {
    for (char second = 0; second < kKinds; ++second) {
      seeds.push_back({.name = absl::StrCat("record-", int{first}, "-", int{second}),
                       .bytes = both('\0', first, second, "payload")});
    }
  }
  seeds.push_back({.name = "journal", .bytes = both('\1', 3, 3, journal)});
  seeds.push_back({.name = "journal-torn", .bytes = both('\1', 3, 4, journal)});
  seeds.push_back({.name = "state", .bytes = both('\2', 3, 3, state)});
  seeds.push_back({.name = "state-flipped", .bytes = both('\2', 5, 3, state)});
  return seeds;
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  switch (reader.Byte() % 3) {
    case 0:
      return TryRecord(reader);
    case 1:
      return TryJournal(reader);
    default:
      return TryState(reader);
  }
}

}  // namespace certcast::fuzz
