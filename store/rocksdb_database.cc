#include "store/rocksdb_database.h"

#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/table.h"
#include "store/acknowledged_mark.h"
#include "store/kv_journal.h"
#include "store/record_journal.h"

namespace baton {
namespace {

constexpr uint64_t kBlobFileThresholdBytes = 4 << 10;
constexpr std::chrono::seconds kReopenAtMostEvery(1);
// Above what the log, flushes and the manifest may still take.
constexpr uint64_t kReserveBytes = 24 << 20;
constexpr uint64_t kReserveForBlobsBytes = 64 << 20;

absl::Status ToStatus(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kNoSpace) {
    return ResourceExhausted("the disk is full: {}", status.ToString());
  }
  if (status.IsCorruption()) return DataLoss("the store is corrupt: {}", status.ToString());
  return Internal("the store failed: {}", status.ToString());
}

// A database whose files name others that are not there is damaged too.
absl::Status OpenStatus(const rocksdb::Status& status) {
  if (!status.IsPathNotFound() && !status.IsNotFound()) return ToStatus(status);
  return DataLoss("the store is not whole: {}", status.ToString());
}

// RocksDB would make a new database beside the files of one whose CURRENT is lost, and delete them.
absl::Status CheckCurrent(rocksdb::Env* env, const std::string& directory) {
  std::vector<std::string> files;
  if (!env->GetChildren(directory, &files).ok()) return absl::OkStatus();
  std::string data;
  for (const std::string& file : files) {
    if (file == "CURRENT") return absl::OkStatus();
    const bool holds_data =
        file == AcknowledgedMark::kFileName || file.ends_with(".sst") || file.ends_with(".blob");
    if (holds_data) data = file;
  }
  if (data.empty()) return absl::OkStatus();
  return DataLoss("the store is not whole: there is {}, but no CURRENT", data);
}

// What running jobs need to go on and to end.
bool IsEssential(const KvWrite& write) {
  return !write.value || write.family == RecordsFamily() || write.family == JournalFamily();
}

absl::Status UnknownFamily(const std::string& family) {
  return InvalidArgument("the store has no family '{}'", family);
}

rocksdb::DBOptions Options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = 256;
  options.max_background_jobs = 2;
  options.max_total_wal_size = 64 << 20;
  options.keep_log_file_num = 4;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  // The default silently forgets what was synced after a damaged record. Better not to open.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 8 << 20;
  options.enable_blob_files = true;
  options.min_blob_size = kBlobFileThresholdBytes;
  options.enable_blob_garbage_collection = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// RocksDB opens a database only with all families that it has, also those of a later version.
std::vector<std::string> AllFamilies(const rocksdb::DBOptions& options,
                                     const std::string& directory,
                                     const std::vector<std::string>& wanted) {
  std::vector<std::string> present;
  if (!rocksdb::DB::ListColumnFamilies(options, directory, &present).ok()) present.clear();
  std::map<std::string, bool> names{{rocksdb::kDefaultColumnFamilyName, true}};
  for (const auto& name : present) names[name] = true;
  for (const auto& name : wanted) names[name] = true;
  std::vector<std::string> all;
  for (const auto& [name, unused] : names) all.push_back(name);
  return all;
}

class Database final : public RocksDbDatabase {
 public:
  Database(std::string directory, std::vector<std::string> families, rocksdb::Env* env,
           WhenCutShort when_cut_short)
      : directory_(std::move(directory)),
        wanted_(std::move(families)),
        env_(env),
        when_cut_short_(when_cut_short),
        mark_(directory_) {}
  ~Database() override { Close(); }

  absl::Status Open() {
    if (absl::Status whole = CheckCurrent(Environment(), directory_); !whole.ok()) {
      return At(directory_, whole);
    }
    // Never opened like that: it would delete the tables that it does not know any more.
    if (absl::Status whole = mark_.CheckManifest(); !whole.ok()) return At(directory_, whole);
    const auto cache = rocksdb::NewLRUCache(8 << 20);
    const rocksdb::DBOptions options = Options(env_);
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const auto& name : AllFamilies(options, directory_, wanted_)) {
      descriptors.emplace_back(name, FamilyOptions(cache));
    }
    rocksdb::DB* raw = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    const rocksdb::Status status =
        rocksdb::DB::Open(options, directory_, descriptors, &handles, &raw);
    if (!status.ok()) return At(directory_, OpenStatus(status));
    db_.reset(raw);
    for (auto* handle : handles) families_.emplace(handle->GetName(), handle);
    return CheckMark();
  }

  absl::Status CheckRoom(const std::vector<KvWrite>& writes) override {
    uint64_t free = 0;
    if (!Environment()->GetFreeSpace(directory_, &free).ok()) return absl::OkStatus();
    uint64_t needed = kReserveBytes;
    for (const KvWrite& write : writes) {
      if (!IsEssential(write)) needed = kReserveForBlobsBytes;
    }
    for (const KvWrite& write : writes) needed += write.value ? 2 * write.value->size() : 0;
    if (free >= needed) return absl::OkStatus();
    return ResourceExhausted("the disk is full: {} MiB are left at {}, {} are needed", free >> 20,
                             directory_, needed >> 20);
  }

  absl::Status Write(const std::vector<const KvWrite*>& writes) override {
    if (writes.empty()) return absl::OkStatus();
    if (failed_) {
      if (absl::Status status = Revive(); !status.ok()) return status;
    }
    std::shared_lock lock(mutex_);
    if (!db_) return Closed();
    rocksdb::WriteBatch batch;
    for (const KvWrite* write : writes) {
      auto* family = families_.at(write->family);
      if (write->value) {
        batch.Put(family, write->key, *write->value);
      } else {
        batch.Delete(family, write->key);
      }
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status status = db_->Write(options, &batch);
    failed_ = !status.ok();
    if (status.ok()) mark_.Write(db_->GetLatestSequenceNumber());
    return ToStatus(status);
  }

  absl::StatusOr<std::optional<std::string>> Get(const std::string& family,
                                                 const std::string& key) override {
    std::shared_lock lock(mutex_);
    if (!db_) return Closed();
    auto it = families_.find(family);
    if (it == families_.end()) return UnknownFamily(family);
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), it->second, key, &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return OpenStatus(status);  // of a blob file that is gone
    return std::optional(std::move(value));
  }

  absl::StatusOr<std::vector<std::string>> Keys(const std::string& family,
                                                const std::string& prefix) override {
    std::shared_lock lock(mutex_);
    if (!db_) return Closed();
    auto it = families_.find(family);
    if (it == families_.end()) return UnknownFamily(family);
    std::vector<std::string> keys;
    std::unique_ptr<rocksdb::Iterator> cursor(db_->NewIterator(rocksdb::ReadOptions(), it->second));
    for (cursor->Seek(prefix); cursor->Valid() && cursor->key().starts_with(prefix);
         cursor->Next()) {
      keys.push_back(cursor->key().ToString());
    }
    if (!cursor->status().ok()) return OpenStatus(cursor->status());
    return keys;
  }

  absl::StatusOr<std::vector<KvEntry>> Scan(const std::string& family, const std::string& after,
                                            size_t limit) override {
    std::shared_lock lock(mutex_);
    if (!db_) return Closed();
    auto it = families_.find(family);
    if (it == families_.end()) return UnknownFamily(family);
    std::vector<KvEntry> entries;
    std::unique_ptr<rocksdb::Iterator> cursor(db_->NewIterator(rocksdb::ReadOptions(), it->second));
    cursor->Seek(after);
    if (cursor->Valid() && cursor->key() == rocksdb::Slice(after)) cursor->Next();
    for (; cursor->Valid() && entries.size() < limit; cursor->Next()) {
      entries.push_back({cursor->key().ToString(), cursor->value().ToString()});
    }
    if (!cursor->status().ok()) return OpenStatus(cursor->status());
    return entries;
  }

 private:
  absl::Status CheckMark() {
    const uint64_t found = db_->GetLatestSequenceNumber();
    const uint64_t marked = mark_.Read().value_or(found);
    if (marked > found) {
      const absl::Status why = DataLoss(
          "{}: the last {} changes that were acknowledged are missing: its log was cut "
          "short or damaged",
          directory_, marked - found);
      if (when_cut_short_ == WhenCutShort::kRefuse) {
        Close();
        return why;
      }
      log::Error("the store goes on without them, they come from the other replicas error=\"{}\"",
                 Message(why));
    }
    mark_.Write(found);
    return absl::OkStatus();
  }

  static absl::Status Closed() { return Internal("the store failed and could not be reopened"); }

  // After an error in its log RocksDB writes no more, and asking it to resume may abort the
  // process. Opened anew it stands where the last sync left it, and nothing else was ever
  // acknowledged.
  absl::Status Revive() {
    // Closing and opening needs room too: better a database that only reads than none.
    if (absl::Status room = Probe(); !room.ok()) return room;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_reopened_ < kReopenAtMostEvery) return Internal("the store failed a moment ago");
    last_reopened_ = now;
    std::unique_lock lock(mutex_);
    Close();
    absl::Status opened = Open();
    log::Warning("the store is opened again after an error directory={} outcome=\"{}\"", directory_,
                 opened.ok() ? "OK" : Message(opened));
    return opened;
  }

  rocksdb::Env* Environment() const { return env_ != nullptr ? env_ : rocksdb::Env::Default(); }

  absl::Status Probe() const {
    const std::string file = directory_ + "/probe";
    const std::string content(64 << 10, 'x');
    const rocksdb::Status status =
        rocksdb::WriteStringToFile(Environment(), content, file, /*should_sync=*/true);
    Environment()->DeleteFile(file).PermitUncheckedError();
    return ToStatus(status);
  }

  void Close() {
    if (!db_) return;
    for (const auto& [name, handle] : families_) {
      db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    families_.clear();
    db_->Close().PermitUncheckedError();
    db_.reset();
  }

  const std::string directory_;
  const std::vector<std::string> wanted_;
  rocksdb::Env* const env_;
  const WhenCutShort when_cut_short_;

  // Shared: to use what is below; alone: to replace it.
  std::shared_mutex mutex_;
  std::unique_ptr<rocksdb::DB> db_;  // null: it could not be opened again
  std::map<std::string, rocksdb::ColumnFamilyHandle*> families_;

  // The writer's:
  AcknowledgedMark mark_;
  bool failed_ = false;  // its last write
  std::chrono::steady_clock::time_point last_reopened_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RocksDbDatabase>> RocksDbDatabase::Open(
    const std::string& directory, const std::vector<std::string>& families, rocksdb::Env* env,
    WhenCutShort when_cut_short) {
  auto database = std::make_unique<Database>(directory, families, env, when_cut_short);
  if (absl::Status status = database->Open(); !status.ok()) return status;
  return database;
}

}  // namespace baton
