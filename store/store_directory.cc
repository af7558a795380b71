#include "store/store_directory.h"

#include <filesystem>
#include <future>
#include <memory>
#include <system_error>

#include "base/log.h"
#include "base/status.h"
#include "fmt/format.h"
#include "store/acknowledged_mark.h"

namespace baton {
namespace {

constexpr int kMaxSetAside = 3;

absl::Status SetAside(const std::string& directory, const absl::Status& why) {
  for (int i = 1; i <= kMaxSetAside; ++i) {
    const std::string aside = directory + ".damaged-" + std::to_string(i);
    std::error_code error;
    if (std::filesystem::exists(aside, error)) continue;
    std::filesystem::rename(directory, aside, error);
    if (error) return Internal("cannot move {} to {}: {}", directory, aside, error.message());
    log::Error(
        "the store is damaged and was set aside, an empty one takes its place and is filled from "
        "the other replicas store={} aside={} error=\"{}\"",
        directory, aside, Message(why));
    return absl::OkStatus();
  }
  return DataLoss(
      "{}; {} damaged stores were set aside already ({}.damaged-*): look after the disk, then "
      "remove "
      "them",
      Message(why), kMaxSetAside, directory);
}

// Every key of every family; the blocks that they stand in are verified on the way.
absl::Status ReadThrough(KvEngine& engine, const std::vector<std::string>& families) {
  for (const std::string& family : families) {
    auto read = std::make_shared<std::promise<absl::Status>>();
    engine.Keys(family, "", [read](const auto& keys) { read->set_value(keys.status()); });
    absl::Status status = read->get_future().get();
    if (absl::IsDataLoss(status)) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<KvEnginePtr> OpenAmongOthers(const std::string& directory,
                                            const std::vector<std::string>& families) {
  auto engine = OpenRocksDbKvEngine(directory, families, nullptr, WhenCutShort::kGoOn);
  if (!engine.ok()) return engine;
  if (absl::Status read = ReadThrough(**engine, families); !read.ok()) return read;
  return engine;
}

absl::StatusOr<KvEnginePtr> OpenAlone(const std::string& directory,
                                      const std::vector<std::string>& families) {
  auto engine = OpenRocksDbKvEngine(directory, families, nullptr, WhenCutShort::kRefuse);
  if (!absl::IsDataLoss(engine.status())) return engine;
  return DataLoss("{}. {}", Message(engine.status()), AdviceForLoneStore(directory));
}

}  // namespace

std::string AdviceForLoneStore(const std::string& directory) {
  return fmt::format(
      "There is no other copy of it. Look after the disk; then put back a backup of {}, or, to go "
      "on without what a file cut short has lost, remove {}/{}, or, to begin with an empty one, "
      "move it away",
      directory, directory, AcknowledgedMark::kFileName);
}

absl::StatusOr<KvEnginePtr> OpenStoreDirectory(const std::string& directory,
                                               const std::vector<std::string>& families,
                                               WhenDamaged when_damaged) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Unavailable("store.directory {}: {}", directory, error.message());
  if (when_damaged == WhenDamaged::kRefuse) return OpenAlone(directory, families);
  auto engine = OpenAmongOthers(directory, families);
  if (!absl::IsDataLoss(engine.status())) return engine;
  if (absl::Status aside = SetAside(directory, engine.status()); !aside.ok()) return aside;
  std::filesystem::create_directories(directory, error);
  if (error) return Unavailable("store.directory {}: {}", directory, error.message());
  return OpenAmongOthers(directory, families);
}

}  // namespace baton
