#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/status.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/table.h"
#include "store/kv_engine.h"

namespace baton {
namespace {

constexpr size_t kMaxWaitingWrites = 10'000;
constexpr size_t kMaxWaitingBytes = 256 << 20;
constexpr size_t kMaxGroupBytes = 16 << 20;
constexpr size_t kMaxWaitingReads = 20'000;
constexpr uint64_t kBlobFileThresholdBytes = 4 << 10;

absl::Status ToStatus(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kNoSpace) {
    return ResourceExhausted("the disk is full: {}", status.ToString());
  }
  if (status.IsCorruption()) return DataLoss("the store is corrupt: {}", status.ToString());
  return Internal("the store failed: {}", status.ToString());
}

struct WaitingWrite {
  std::vector<KvWrite> writes;
  size_t bytes = 0;
  KvEngine::StatusCallback callback;
  absl::Status refusal;  // not OK: it is only answered
};

// One thread writes: the batches that waited while it synced the last ones become one batch, with
// one sync. One thread reads. Both end, with nothing left unanswered, in the destructor, which must
// not run on either of them: a callback that owns the engine has to hand it on.
class RocksDbKvEngine final : public KvEngine {
 public:
  using Families = std::map<std::string, rocksdb::ColumnFamilyHandle*>;

  RocksDbKvEngine(std::unique_ptr<rocksdb::DB> db, Families families)
      : db_(std::move(db)), families_(std::move(families)) {
    writer_ = std::thread([this] { RunWriter(); });
    reader_ = std::thread([this] { RunReader(); });
  }

  ~RocksDbKvEngine() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      write_waits_.notify_one();
      read_waits_.notify_one();
    }
    writer_.join();
    reader_.join();
    for (const auto& [name, handle] : families_) db_->DestroyColumnFamilyHandle(handle);
    db_->Close();
  }

  void Write(std::vector<KvWrite> writes, StatusCallback callback) override {
    WaitingWrite waiting{std::move(writes), 0, std::move(callback), absl::OkStatus()};
    for (const auto& write : waiting.writes) {
      waiting.bytes += write.key.size() + (write.value ? write.value->size() : 0);
      if (!families_.contains(write.family)) waiting.refusal = UnknownFamily(write.family);
    }
    std::lock_guard lock(mutex_);
    if (writes_.size() >= kMaxWaitingWrites || waiting_bytes_ + waiting.bytes > kMaxWaitingBytes) {
      waiting.refusal = ResourceExhausted("{} writes of {} bytes wait for the disk", writes_.size(),
                                          waiting_bytes_);
    }
    if (!waiting.refusal.ok()) {
      waiting.writes.clear();
      waiting.bytes = 0;
    }
    waiting_bytes_ += waiting.bytes;
    writes_.push_back(std::move(waiting));
    write_waits_.notify_one();
  }

  void Get(std::string family, std::string key, GetCallback callback) override {
    EnqueueRead([this, family = std::move(family), key = std::move(key),
                 callback = std::move(callback)](const absl::Status& refusal) mutable {
      if (!refusal.ok()) return callback(refusal);
      callback(ReadNow(family, key));
    });
  }

  void Keys(std::string family, std::string prefix, KeysCallback callback) override {
    EnqueueRead([this, family = std::move(family), prefix = std::move(prefix),
                 callback = std::move(callback)](const absl::Status& refusal) mutable {
      if (!refusal.ok()) return callback(refusal);
      callback(KeysNow(family, prefix));
    });
  }

 private:
  using Read = absl::AnyInvocable<void(const absl::Status& refusal)>;
  struct WaitingRead {
    Read read;
    absl::Status refusal;
  };

  static absl::Status UnknownFamily(const std::string& family) {
    return InvalidArgument("the store has no family '{}'", family);
  }

  void EnqueueRead(Read read) {
    std::lock_guard lock(mutex_);
    absl::Status refusal;
    if (reads_.size() >= kMaxWaitingReads) {
      refusal = ResourceExhausted("{} reads wait for the disk", reads_.size());
    }
    reads_.push_back({std::move(read), std::move(refusal)});
    read_waits_.notify_one();
  }

  void RunWriter() {
    for (;;) {
      std::vector<WaitingWrite> group = TakeGroup();
      if (group.empty()) return;
      const absl::Status written = WriteGroup(group);
      for (auto& one : group) one.callback(one.refusal.ok() ? written : one.refusal);
    }
  }

  // Waits; empty at the end.
  std::vector<WaitingWrite> TakeGroup() {
    std::unique_lock lock(mutex_);
    write_waits_.wait(lock, [this] { return stopping_ || !writes_.empty(); });
    std::vector<WaitingWrite> group;
    size_t bytes = 0;
    while (!writes_.empty() && (group.empty() || bytes + writes_.front().bytes <= kMaxGroupBytes)) {
      bytes += writes_.front().bytes;
      group.push_back(std::move(writes_.front()));
      writes_.pop_front();
    }
    waiting_bytes_ -= bytes;
    return group;
  }

  absl::Status WriteGroup(const std::vector<WaitingWrite>& group) {
    rocksdb::WriteBatch batch;
    for (const auto& one : group) {
      for (const auto& write : one.writes) {
        auto* family = families_.at(write.family);
        if (write.value) {
          batch.Put(family, write.key, *write.value);
        } else {
          batch.Delete(family, write.key);
        }
      }
    }
    if (batch.Count() == 0) return absl::OkStatus();
    // After an error RocksDB refuses everything until it is told to look again: the disk may have
    // room by now.
    if (failed_) db_->Resume().PermitUncheckedError();
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status status = db_->Write(options, &batch);
    failed_ = !status.ok();
    return ToStatus(status);
  }

  void RunReader() {
    for (;;) {
      WaitingRead next;
      {
        std::unique_lock lock(mutex_);
        read_waits_.wait(lock, [this] { return stopping_ || !reads_.empty(); });
        if (reads_.empty()) return;
        next = std::move(reads_.front());
        reads_.pop_front();
      }
      next.read(next.refusal);
    }
  }

  absl::StatusOr<std::optional<std::string>> ReadNow(const std::string& family,
                                                     const std::string& key) {
    auto it = families_.find(family);
    if (it == families_.end()) return UnknownFamily(family);
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), it->second, key, &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return ToStatus(status);
    return std::optional(std::move(value));
  }

  absl::StatusOr<std::vector<std::string>> KeysNow(const std::string& family,
                                                   const std::string& prefix) {
    auto it = families_.find(family);
    if (it == families_.end()) return UnknownFamily(family);
    std::vector<std::string> keys;
    std::unique_ptr<rocksdb::Iterator> cursor(db_->NewIterator(rocksdb::ReadOptions(), it->second));
    for (cursor->Seek(prefix); cursor->Valid() && cursor->key().starts_with(prefix);
         cursor->Next()) {
      keys.push_back(cursor->key().ToString());
    }
    if (!cursor->status().ok()) return ToStatus(cursor->status());
    return keys;
  }

  const std::unique_ptr<rocksdb::DB> db_;
  const Families families_;

  std::mutex mutex_;
  // Guarded by mutex_:
  std::condition_variable write_waits_;
  std::condition_variable read_waits_;
  std::deque<WaitingWrite> writes_;
  size_t waiting_bytes_ = 0;
  std::deque<WaitingRead> reads_;
  bool stopping_ = false;

  bool failed_ = false;  // the writer's: its last write failed

  std::thread writer_;
  std::thread reader_;
};

rocksdb::DBOptions Options() {
  rocksdb::DBOptions options;
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
std::vector<std::string> AllFamilies(const std::string& directory,
                                     const std::vector<std::string>& wanted) {
  std::vector<std::string> present;
  if (!rocksdb::DB::ListColumnFamilies(Options(), directory, &present).ok()) present.clear();
  std::map<std::string, bool> names{{rocksdb::kDefaultColumnFamilyName, true}};
  for (const auto& name : present) names[name] = true;
  for (const auto& name : wanted) names[name] = true;
  std::vector<std::string> all;
  for (const auto& [name, unused] : names) all.push_back(name);
  return all;
}

}  // namespace

absl::StatusOr<KvEnginePtr> OpenRocksDbKvEngine(const std::string& directory,
                                                const std::vector<std::string>& families) {
  const auto cache = rocksdb::NewLRUCache(8 << 20);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const auto& name : AllFamilies(directory, families)) {
    descriptors.emplace_back(name, FamilyOptions(cache));
  }
  rocksdb::DB* raw = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status status =
      rocksdb::DB::Open(Options(), directory, descriptors, &handles, &raw);
  if (!status.ok()) return At(directory, ToStatus(status));
  RocksDbKvEngine::Families by_name;
  for (auto* handle : handles) by_name.emplace(handle->GetName(), handle);
  return std::make_shared<RocksDbKvEngine>(std::unique_ptr<rocksdb::DB>(raw), std::move(by_name));
}

}  // namespace baton
