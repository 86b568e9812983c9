// How fast a node installs.
//
// Measured, with the node's own engine on the disk that $TMPDIR (or /tmp) is on: a whole install of a new generation,
// from Install to the end of Confirm, for a service with a chain and a key. Nothing is reloaded and the probe looks at
// the file, so that what is left is certcast's own work and the disk's. Next to it, in the same run, by turns: the very
// same changes of files (same sizes, same renames, same fsyncs in the same order) by bare system calls. The ratio of
// the two is what certcast adds: signatures, digests, reading back.
//
// Not measured: the wire (see fanout), real services. On a tmpfs an fsync costs nothing, and the ratio says little.
#include "node/engine/engine.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/file/atomic.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "tests/bench/measure.h"
#include "tests/bench/program.h"
#include "tests/bench/recorded_changes.h"
#include "tests/bench/work_folder.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::bench {
namespace {

using node::Engine;
using node::EngineConfig;

// Installs between two changes of sides.
constexpr int kBlock = 10;

struct Flags {
  int installs = 200;
  std::string output = "table";
  std::string directory;
};

// What both sides took, each install by itself.
struct Sides {
  Phase engine{.name = "certcast"};
  Phase bare{.name = "the same changes, bare"};
  Latencies engine_each;
  Latencies bare_each;
  int changes_each = 0;
  int fsyncs_each = 0;
};

class Node {
 public:
  static absl::StatusOr<std::unique_ptr<Node>> Start(const std::string& root) {
    std::unique_ptr<Node> node(new Node(root));
    RETURN_IF_ERROR(OpenOrMakeDirectory(FileSystem::Real(), node->tls_, {0755, geteuid(), getegid()}).status());
    ASSIGN_OR_RETURN(node->engine_, Engine::Start(node->MakeConfig(), {.files = &node->files_,
                                                                       .processes = &ProcessRunner::Real(),
                                                                       .prober = &node->prober_,
                                                                       .clock = &Clock::Real()}));
    return node;
  }

  RecordingFileSystem& files() { return files_; }

  // The certificates are by turns one of two, so that each install has something to change.
  absl::Status InstallNext() {
    const testing::IssuedCertificate& issued = issued_[++generation_ % issued_.size()];
    served_ = issued.certificate.sha256();
    v1::Command install;
    install.set_id(absl::StrCat("install-", generation_));
    *install.mutable_install()->mutable_bundle() = fleet_.Bundle(issued, "wildcard", generation_, Clock::Real().Now());
    install.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
    const absl::Duration start = Clock::Real().Monotonic();
    RETURN_IF_ERROR(Handle(install));
    v1::Command confirm;
    confirm.set_id(absl::StrCat("confirm-", generation_));
    confirm.mutable_confirm()->set_certificate("wildcard");
    confirm.mutable_confirm()->set_generation(generation_);
    confirm.mutable_confirm()->set_leaf_sha256(served_);
    RETURN_IF_ERROR(Handle(confirm));
    took_ = Clock::Real().Monotonic() - start;
    return absl::OkStatus();
  }
  // Of the last one, without what the controller would have done: signing.
  absl::Duration took() const { return took_; }

 private:
  explicit Node(const std::string& root) : state_(root + "/state"), tls_(root + "/tls") {
    const testing::TestCa ca = testing::TestCa::Root().Intermediate();
    for (int i = 0; i < 2; ++i) issued_.push_back(ca.Issue({.dns_names = {"*.example.com"}}));
    prober_.Otherwise([this](const ProbeSpec&) { return testing::FakeProber::Serves(served_); });
  }

  EngineConfig MakeConfig() const {
    Service service;
    service.name = "web";
    service.certificate = "wildcard";
    service.files = {{.path = tls_ + "/fullchain.pem", .content = FileContent::kFullchain, .mode = 0644},
                     {.path = tls_ + "/privkey.pem", .content = FileContent::kPrivateKey, .mode = 0600}};
    service.probes = {{.what = TlsProbe{"127.0.0.1:443", "www.example.com"}, .consecutive = 1}};
    EngineConfig config;
    config.node = "bench";
    config.state = state_;
    config.allow_names = {"*.example.com"};
    config.fleet = EngineConfig::Fleet{fleet_.id(), fleet_.key()};
    config.services = {service};
    return config;
  }

  absl::Status Handle(const v1::Command& command) {
    const v1::Report report = engine_->Handle(command, nullptr);
    if (report.install_result().outcome() == v1::Outcome::INSTALLED) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(command.id(), ": ", report.ShortDebugString()));
  }

  const std::string state_;
  const std::string tls_;
  const testing::TestFleet fleet_;
  std::vector<testing::IssuedCertificate> issued_;
  std::string served_;
  testing::FakeProber prober_;
  RecordingFileSystem files_;
  std::unique_ptr<Engine> engine_;
  uint64_t generation_ = 0;
  absl::Duration took_;
};

// The other side: what the node changed, a second time beside it.
class Copy {
 public:
  Copy(std::string of, std::string root) : of_(std::move(of)), root_(std::move(root)) {}

  // Parents of what the node makes, which are there before it.
  absl::Status Start() {
    return OpenOrMakeDirectory(FileSystem::Real(), root_ + "/tls", {0755, geteuid(), getegid()}).status();
  }
  absl::StatusOr<std::vector<Change>> Moved(std::vector<Change> changes) const {
    for (Change& change : changes) {
      if (!Move(change, of_, root_)) return absl::InternalError(absl::StrCat(change.path, " is outside of ", of_));
    }
    return changes;
  }

 private:
  const std::string of_;
  const std::string root_;
};

absl::Status MeasureBlock(Node& node, const Copy& copy, int installs, Sides& sides) {
  std::vector<std::vector<Change>> made;
  for (int i = 0; i < installs; ++i) {
    RETURN_IF_ERROR(node.InstallNext());
    sides.engine_each.Add(node.took());
    sides.engine.wall += node.took();
    ASSIGN_OR_RETURN(std::vector<Change> changes, copy.Moved(node.files().TakeChanges()));
    made.push_back(std::move(changes));
  }
  for (const std::vector<Change>& changes : made) {
    const absl::Duration start = Clock::Real().Monotonic();
    RETURN_IF_ERROR(MakeAgain(changes));
    const absl::Duration took = Clock::Real().Monotonic() - start;
    sides.bare_each.Add(took);
    sides.bare.wall += took;
  }
  sides.changes_each = static_cast<int>(made.back().size());
  sides.fsyncs_each = static_cast<int>(
      std::count_if(made.back().begin(), made.back().end(), [](const Change& change) { return change.IsSync(); }));
  return absl::OkStatus();
}

absl::Status MeasureSides(const Flags& flags, Sides& sides) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WorkFolder> folder, WorkFolder::Make(flags.directory));
  const std::string root = folder->path() + "/node";
  Copy copy(root, folder->path() + "/bare");
  RETURN_IF_ERROR(copy.Start());
  ASSIGN_OR_RETURN(const std::unique_ptr<Node> node, Node::Start(root));
  // Up to where old generations are pruned with each install: it goes on like this for ever.
  for (int i = 0; i < 5; ++i) RETURN_IF_ERROR(node->InstallNext());
  std::vector<Change> before = node->files().TakeChanges();
  // Made before there was an engine.
  before.erase(std::remove_if(before.begin(), before.end(),
                              [&](const Change& change) {
                                return change.kind == Change::Kind::kMakeDirectory && change.path == root;
                              }),
               before.end());
  ASSIGN_OR_RETURN(before, copy.Moved(std::move(before)));
  RETURN_IF_ERROR(MakeAgain(before));

  for (int done = 0; done < flags.installs; done += kBlock) {
    RETURN_IF_ERROR(MeasureBlock(*node, copy, std::min(kBlock, flags.installs - done), sides));
  }
  sides.engine.count = sides.bare.count = flags.installs;
  sides.engine.median = sides.engine_each.At(0.5);
  sides.engine.p99 = sides.engine_each.At(0.99);
  sides.bare.median = sides.bare_each.At(0.5);
  sides.bare.p99 = sides.bare_each.At(0.99);
  return absl::OkStatus();
}

double Ratio(const Sides& sides) {
  return absl::FDivDuration(sides.engine.median, sides.bare.median);
}

std::string ToTable(const Sides& sides, double load) {
  std::vector<std::vector<std::string>> cells = {{"install", "count", "per second", "median ms", "p99 ms"}};
  for (const Phase* phase : {&sides.engine, &sides.bare}) {
    cells.push_back({phase->name, absl::StrCat(phase->count), Number(phase->PerSecond()), Milliseconds(phase->median),
                     Milliseconds(phase->p99)});
  }
  return absl::StrCat("an install makes ", sides.changes_each, " changes, ", sides.fsyncs_each,
                      " of them with an fsync; load average ", Number(load), "\n\n", Table(cells), "\ncertcast takes ",
                      Number(Ratio(sides)), " times what its changes of files cost (median)\n");
}

nlohmann::ordered_json ToJson(const Sides& sides, double load) {
  nlohmann::ordered_json json;
  json["loadAverage"] = load;
  json["changesEach"] = sides.changes_each;
  json["fsyncsEach"] = sides.fsyncs_each;
  for (const auto& [name, phase] : {std::pair("certcast", &sides.engine), std::pair("bare", &sides.bare)}) {
    json[name] = {{"count", phase->count},
                  {"perSecond", phase->PerSecond()},
                  {"medianMs", absl::ToDoubleMilliseconds(phase->median)},
                  {"p99Ms", absl::ToDoubleMilliseconds(phase->p99)}};
  }
  json["ratio"] = Ratio(sides);
  return json;
}

absl::StatusOr<int> Run(const Flags& flags) {
  const double load = LoadAverage();
  Sides sides;
  RETURN_IF_ERROR(MeasureSides(flags, sides));
  std::cout << (flags.output == "json" ? ToJson(sides, load).dump(2) + "\n" : ToTable(sides, load));
  return 0;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  certcast::bench::Flags flags;
  certcast::bench::Program program("engine",
                                   "How fast a node installs, next to the bare cost of the same changes of files.",
                                   "--config=release //tests/bench:engine -- --installs 1000");
  program.app()
      .add_option("--installs", flags.installs, "how many")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  program.OfferDirectory(flags.directory, "the node's files are made");
  program.OfferOutput(flags.output);
  return program.Main(argc, argv, [&] { return certcast::bench::Run(flags); });
}
