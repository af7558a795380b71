#include "store/store_directory.h"

#include <filesystem>
#include <system_error>

#include "base/log.h"
#include "base/status.h"

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

}  // namespace

absl::StatusOr<KvEnginePtr> OpenStoreDirectory(const std::string& directory,
                                               const std::vector<std::string>& families,
                                               WhenDamaged when_damaged) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Unavailable("store.directory {}: {}", directory, error.message());
  auto engine = OpenRocksDbKvEngine(directory, families);
  if (engine.status().code() != absl::StatusCode::kDataLoss) return engine;
  if (when_damaged == WhenDamaged::kRefuse) return engine;
  if (absl::Status aside = SetAside(directory, engine.status()); !aside.ok()) return aside;
  std::filesystem::create_directories(directory, error);
  if (error) return Unavailable("store.directory {}: {}", directory, error.message());
  return OpenRocksDbKvEngine(directory, families);
}

}  // namespace baton
