#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/status.h"
#include "store/kv_engine.h"
#include "store/rocksdb_database.h"

namespace baton {
namespace {

constexpr size_t kMaxWaitingWrites = 10'000;
constexpr size_t kMaxWaitingBytes = 256 << 20;
constexpr size_t kMaxGroupBytes = 16 << 20;
constexpr size_t kMaxWaitingReads = 20'000;

struct WaitingWrite {
  std::vector<KvWrite> writes;
  size_t bytes = 0;
  KvEngine::StatusCallback callback;
  absl::Status refusal;  // not OK: it is only answered
};

// One thread writes: the batches that waited while it synced the last ones become one batch, with
// one sync. One thread reads. Both end, with nothing left unanswered, in Stop, which must not run
// on either of them. The destructor stops it too: while the threads run, a callback that owns the
// engine has to hand it on.
class RocksDbKvEngine final : public KvEngine {
 public:
  RocksDbKvEngine(std::unique_ptr<RocksDbDatabase> database,
                  const std::vector<std::string>& families)
      : database_(std::move(database)), families_(families.begin(), families.end()) {
    writer_ = std::thread([this] { RunWriter(); });
    reader_ = std::thread([this] { RunReader(); });
  }

  ~RocksDbKvEngine() override { Stop(); }

  void Stop() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      write_waits_.notify_one();
      read_waits_.notify_one();
    }
    if (writer_.joinable()) writer_.join();
    if (reader_.joinable()) reader_.join();
  }

  void Write(std::vector<KvWrite> writes, StatusCallback callback) override {
    WaitingWrite waiting{std::move(writes), 0, std::move(callback), absl::OkStatus()};
    for (const auto& write : waiting.writes) {
      waiting.bytes += write.key.size() + (write.value ? write.value->size() : 0);
      if (!families_.contains(write.family))
        waiting.refusal = InvalidArgument("the store has no family '{}'", write.family);
    }
    std::unique_lock lock(mutex_);
    if (stopping_) {
      lock.unlock();
      return waiting.callback(Stopped());
    }
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
      callback(database_->Get(family, key));
    });
  }

  void Keys(std::string family, std::string prefix, KeysCallback callback) override {
    EnqueueRead([this, family = std::move(family), prefix = std::move(prefix),
                 callback = std::move(callback)](const absl::Status& refusal) mutable {
      if (!refusal.ok()) return callback(refusal);
      callback(database_->Keys(family, prefix));
    });
  }

  void Scan(std::string family, std::string after, size_t limit, ScanCallback callback) override {
    EnqueueRead([this, family = std::move(family), after = std::move(after), limit,
                 callback = std::move(callback)](const absl::Status& refusal) mutable {
      if (!refusal.ok()) return callback(refusal);
      callback(database_->Scan(family, after, limit));
    });
  }

 private:
  using Read = absl::AnyInvocable<void(const absl::Status& refusal)>;
  struct WaitingRead {
    Read read;
    absl::Status refusal;
  };

  // Nobody takes from the queues any more.
  static absl::Status Stopped() { return Unavailable("the store is closed"); }

  void EnqueueRead(Read read) {
    std::unique_lock lock(mutex_);
    if (stopping_) {
      lock.unlock();
      return read(Stopped());
    }
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

  absl::Status WriteGroup(std::vector<WaitingWrite>& group) {
    std::vector<const KvWrite*> writes;
    for (auto& one : group) {
      if (one.refusal.ok()) one.refusal = database_->CheckRoom(one.writes);
      if (!one.refusal.ok()) continue;
      for (const auto& write : one.writes) writes.push_back(&write);
    }
    return database_->Write(writes);
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

  const std::unique_ptr<RocksDbDatabase> database_;
  const std::set<std::string> families_;

  std::mutex mutex_;
  // Guarded by mutex_:
  std::condition_variable write_waits_;
  std::condition_variable read_waits_;
  std::deque<WaitingWrite> writes_;
  size_t waiting_bytes_ = 0;
  std::deque<WaitingRead> reads_;
  bool stopping_ = false;

  std::thread writer_;
  std::thread reader_;
};

}  // namespace

absl::StatusOr<KvEnginePtr> OpenRocksDbKvEngine(const std::string& directory,
                                                const std::vector<std::string>& families,
                                                rocksdb::Env* env, WhenCutShort when_cut_short) {
  auto database = RocksDbDatabase::Open(directory, families, env, when_cut_short);
  if (!database.ok()) return database.status();
  return std::make_shared<RocksDbKvEngine>(*std::move(database), families);
}

}  // namespace baton
