// The directory of one generation: written whole, read back, checked, removed.
#ifndef CERTCAST_NODE_ENGINE_GENERATION_H_
#define CERTCAST_NODE_ENGINE_GENERATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/secret/secret.h"
#include "node/engine/context.h"

namespace certcast::node {

using GenerationOnDisk = state::v1::GenerationOnDisk;
using GenerationRecord = state::v1::GenerationRecord;

// One file of a generation to be.
struct GenerationFile {
  // Of the configuration.
  const Service* service = nullptr;
  const ServiceFile* file = nullptr;
  // None: there is no such file in it.
  std::optional<Secret> bytes;
  FileAttributes attributes;
};

// As the record gives them.
FileAttributes AttributesOf(const GenerationRecord::File& file);

// The record of a generation with these files, in the order of `services`. Without leaves.
GenerationRecord RecordOf(uint64_t generation, const std::vector<const Service*>& services,
                          const std::vector<GenerationFile>& files);

// Writes the directory, which is not there yet: every file with its final owner, group and mode, fsynced, read back and
// hashed; the record last. Durable on return. After an error a part of it may be there, without a record.
absl::Status WriteGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                             const GenerationRecord& record, const std::vector<GenerationFile>& files);

// kNotFound: no such directory, or one that was never finished.
absl::StatusOr<GenerationRecord> ReadRecord(const EngineContext& engine, absl::string_view certificate,
                                            absl::string_view directory);

// Whether all that the record names is there with its contents.
absl::Status CheckGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                             const GenerationRecord& record);

// Whether all files that the record names have the owner, group and mode that it gives them. No: also where that can't
// be told.
bool HasAttributesOfRecord(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                           const GenerationRecord& record);

// Names of all of the certificate's directories, finished or not.
absl::StatusOr<std::vector<std::string>> ListGenerations(const EngineContext& engine, absl::string_view certificate);

// A name for another directory of `generation` that is neither there nor `taken`.
absl::StatusOr<std::string> NewDirectoryName(const EngineContext& engine, absl::string_view certificate,
                                             uint64_t generation, absl::string_view taken);

// Durable on return. Absent: OK. The caller makes sure that nothing leads there.
absl::Status RemoveGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory);

GenerationOnDisk OnDisk(const GenerationRecord& record, absl::string_view directory);

// The leaf that a service serves once it has loaded this generation; empty: not known, or there was none. A service
// that the record does not know (renamed since) has that of the others.
std::string LeafOf(const GenerationRecord& record, const Service& service);

// SHA-256 of every certificate that it then serves, the leaf's first; empty: not known.
std::vector<std::string> ChainOf(const GenerationRecord& record, const Service& service);

// What a switch to a generation means to a service of its certificate.
enum class Concern {
  // It reads its files from there, and must serve its leaf.
  kServesIt,
  // All of its files were absent: it is left without any.
  kLeftWithout,
  // Nothing changes for it, yet:
  //   - the record does not know it, nor any of its paths as a copy, and none of them leads into the certificate: it
  //   was
  //     added since and reads files of its own. One whose paths are those of a service that has another name now does
  //     serve it;
  //   - it also reads files of other certificates, and some of them are not there. It can't load its configuration
  //   before
  //     they are, so it is left alone until the last of its certificates is installed.
  kNone,
};
Concern ConcernOf(const EngineContext& engine, absl::string_view certificate, const GenerationRecord& record,
                  const Service& service);

// EXPIRED when there are leaves, and all of them are past their notAfter. One that has expired is no reason to keep
// the others from what they served before: its service served it before too.
absl::Status CheckNotExpired(const GenerationRecord& record, absl::Time now);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_GENERATION_H_
