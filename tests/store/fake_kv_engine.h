// A KvEngine in memory, with the faults of disks: it loses what was not synced when its process
// dies, fills up, fails, and flips bits.
//
// A FakeDisk is what survives; a FakeKvEngine is one process that has it open and lives on that
// process's executor: kill the executor (or drop the engine) and what was not yet synced is lost.
// Writes that wait together share one sync, as in the real one.

#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/status.h"
#include "store/kv_engine.h"

namespace baton {

// Threading: any thread.
class FakeDisk {
 public:
  using Place = std::pair<std::string, std::string>;  // family, key

  // Hears of everything that a process writes (once it is synced) or deletes, and of every copy
  // that a fault spoils or takes away. Must not ask the disk.
  enum class Change { kWritten, kDeleted, kLost };
  using OnChange =
      std::function<void(Change change, const std::string& family, const std::string& key)>;
  void Listen(OnChange on_change) { on_change_ = std::move(on_change); }

  void SetFull(bool full) {
    Locked([&] { full_ = full; });
  }
  // Every read and write fails (EIO).
  void SetBroken(bool broken) {
    Locked([&] { broken_ = broken; });
  }
  // The lowest of a byte: the middle one, or that of a number (which goes round).
  void FlipBit(const std::string& family, const std::string& key,
               std::optional<uint64_t> byte = std::nullopt) {
    Locked([&] {
      auto it = synced_.find({family, key});
      if (it == synced_.end() || it->second.empty()) return;
      it->second[byte.value_or(it->second.size() / 2) % it->second.size()] ^= 1;
      if (damaged_.insert({family, key}).second) Tell(Change::kLost, {family, key});
    });
  }
  void Drop(const std::string& family, const std::string& key) {
    Locked([&] {
      if (synced_.erase({family, key}) > 0) Tell(Change::kLost, {family, key});
    });
  }
  // The disk was lost and replaced.
  void Erase() {
    Locked([&] {
      for (const auto& [place, value] : std::exchange(synced_, {})) Tell(Change::kLost, place);
      damaged_.clear();
    });
  }

  size_t size() const {
    return Locked([&] { return synced_.size(); });
  }
  size_t Count(const std::string& family) const {
    return Locked([&] {
      return static_cast<size_t>(std::count_if(
          synced_.begin(), synced_.end(), [&](const auto& e) { return e.first.first == family; }));
    });
  }
  size_t syncs() const {
    return Locked([&] { return syncs_; });
  }
  bool Has(const std::string& family, const std::string& key) const {
    return Locked([&] { return synced_.contains({family, key}); });
  }
  bool HasUndamaged(const std::string& family, const std::string& key) const {
    return Locked([&] {
      return synced_.contains({family, key}) && !damaged_.contains({family, key});
    });
  }

 private:
  friend class FakeKvEngine;

  template <class F>
  std::invoke_result_t<F> Locked(F f) const {
    std::lock_guard lock(mutex_);
    return f();
  }

  absl::Status Sync(const std::vector<KvWrite>& writes) {
    return Locked([&]() -> absl::Status {
      if (broken_) return Internal("the disk failed (EIO)");
      if (full_) return ResourceExhausted("the disk is full");
      ++syncs_;
      for (const auto& write : writes) {
        damaged_.erase({write.family, write.key});
        if (write.value) {
          synced_[{write.family, write.key}] = *write.value;
          Tell(Change::kWritten, {write.family, write.key});
        } else if (synced_.erase({write.family, write.key}) > 0) {
          Tell(Change::kDeleted, {write.family, write.key});
        }
      }
      return absl::OkStatus();
    });
  }

  void Tell(Change change, const Place& place) const {
    if (on_change_) on_change_(change, place.first, place.second);
  }

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<Place, std::string> synced_;
  std::set<Place> damaged_;  // by FlipBit, since it was written
  OnChange on_change_;
  bool full_ = false;
  bool broken_ = false;
  size_t syncs_ = 0;
};

class FakeKvEngine final : public KvEngine, public std::enable_shared_from_this<FakeKvEngine> {
 public:
  FakeKvEngine(std::shared_ptr<FakeDisk> disk, ExecutorPtr executor,
               const std::vector<std::string>& families,
               Duration sync_latency = std::chrono::microseconds(500))
      : disk_(std::move(disk)),
        executor_(std::move(executor)),
        families_(families.begin(), families.end()),
        sync_latency_(sync_latency) {}

  void Write(std::vector<KvWrite> writes, StatusCallback callback) override {
    executor_->Post([self = shared_from_this(), writes = std::move(writes),
                     callback = std::move(callback)]() mutable {
      self->Enqueue(std::move(writes), std::move(callback));
    });
  }

  void Get(std::string family, std::string key, GetCallback callback) override {
    executor_->Post(
        [self = shared_from_this(), family = std::move(family), key = std::move(key),
         callback = std::move(callback)]() mutable { callback(self->GetNow(family, key)); });
  }

  void Keys(std::string family, std::string prefix, KeysCallback callback) override {
    executor_->Post(
        [self = shared_from_this(), family = std::move(family), prefix = std::move(prefix),
         callback = std::move(callback)]() mutable { callback(self->KeysNow(family, prefix)); });
  }

  void Scan(std::string family, std::string after, size_t limit, ScanCallback callback) override {
    executor_->Post([self = shared_from_this(), family = std::move(family),
                     after = std::move(after), limit, callback = std::move(callback)]() mutable {
      callback(self->ScanNow(family, after, limit));
    });
  }

  void Stop() override {}  // no threads; its executor is killed

 private:
  struct Waiting {
    std::vector<KvWrite> writes;
    StatusCallback callback;
  };

  void Enqueue(std::vector<KvWrite> writes, StatusCallback callback) {
    for (const auto& write : writes) {
      if (!families_.contains(write.family)) return callback(UnknownFamily(write.family));
    }
    waiting_.push_back({std::move(writes), std::move(callback)});
    if (waiting_.size() > 1) return;
    executor_->PostAfter(sync_latency_, [self = shared_from_this()] { self->SyncWaiting(); });
  }

  void SyncWaiting() {
    auto group = std::exchange(waiting_, {});
    std::vector<KvWrite> writes;
    for (auto& one : group) {
      for (auto& write : one.writes) writes.push_back(std::move(write));
    }
    const absl::Status status = disk_->Sync(writes);
    for (auto& one : group) one.callback(status);
  }

  absl::StatusOr<std::optional<std::string>> GetNow(const std::string& family,
                                                    const std::string& key) {
    if (!families_.contains(family)) return UnknownFamily(family);
    return disk_->Locked([&]() -> absl::StatusOr<std::optional<std::string>> {
      if (disk_->broken_) return Internal("the disk failed (EIO)");
      auto it = disk_->synced_.find({family, key});
      if (it == disk_->synced_.end()) return std::optional<std::string>();
      return std::optional(it->second);
    });
  }

  absl::StatusOr<std::vector<std::string>> KeysNow(const std::string& family,
                                                   const std::string& prefix) {
    if (!families_.contains(family)) return UnknownFamily(family);
    return disk_->Locked([&]() -> absl::StatusOr<std::vector<std::string>> {
      if (disk_->broken_) return Internal("the disk failed (EIO)");
      std::vector<std::string> keys;
      for (auto it = disk_->synced_.lower_bound({family, prefix}); it != disk_->synced_.end();
           ++it) {
        const auto& [place_family, key] = it->first;
        if (place_family != family || !key.starts_with(prefix)) break;
        keys.push_back(key);
      }
      return keys;
    });
  }

  absl::StatusOr<std::vector<KvEntry>> ScanNow(const std::string& family, const std::string& after,
                                               size_t limit) {
    if (!families_.contains(family)) return UnknownFamily(family);
    return disk_->Locked([&]() -> absl::StatusOr<std::vector<KvEntry>> {
      if (disk_->broken_) return Internal("the disk failed (EIO)");
      std::vector<KvEntry> entries;
      for (auto it = disk_->synced_.upper_bound({family, after}); it != disk_->synced_.end();
           ++it) {
        if (it->first.first != family || entries.size() == limit) break;
        entries.push_back({it->first.second, it->second});
      }
      return entries;
    });
  }

  static absl::Status UnknownFamily(const std::string& family) {
    return InvalidArgument("the store has no family '{}'", family);
  }

  const std::shared_ptr<FakeDisk> disk_;
  const ExecutorPtr executor_;
  const std::set<std::string> families_;
  const Duration sync_latency_;
  std::vector<Waiting> waiting_;  // on executor_
};

}  // namespace baton
