#include "store/job_result_store.h"

#include <atomic>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/deliberate_break.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/status.h"
#include "base/utf8.h"
#include "store/bounded_loop.h"
#include "store/record_folder.h"
#include "store/result_history.h"

namespace baton {
namespace {

constexpr size_t kMaxCauseBytes = 16 << 10;
constexpr size_t kMaxNameBytes = 4 << 10;
constexpr size_t kEvictedAtOnce = 500;
constexpr Duration kEvictionInterval = std::chrono::minutes(1);

std::string IdBytes(const JobId& id) { return std::string(id.bytes().begin(), id.bytes().end()); }

absl::StatusOr<pb::JobResult> ReadResult(const JobId& id, const std::string& data) {
  pb::JobResult result;
  if (!result.ParseFromString(data) || result.job_id() != IdBytes(id)) {
    return DataLoss("the result of job {} is unreadable ({} bytes)", id.ToString(), data.size());
  }
  return result;
}

// Lives on `executor`. While a commit is under way it alone knows what becomes of that job: a Find
// of it waits. An id whose commit ended with an unknown outcome is read through for ever after.
class ZnodeJobResultStore final : public JobResultStore,
                                  public std::enable_shared_from_this<ZnodeJobResultStore> {
 public:
  ZnodeJobResultStore(LeaderFencePtr fence, BlobStorePtr blobs, BlobPinsPtr pins,
                      ExecutorPtr executor, const HistoryLimits& limits)
      : fence_(std::move(fence)),
        blobs_(std::move(blobs)),
        pins_(std::move(pins)),
        executor_(std::move(executor)),
        limits_(limits),
        started_(executor_->Now()),
        wall_start_(executor_->WallNow()),
        history_(limits) {}

  void Commit(JobId id, pb::JobResult result, std::string archive,
              StatusCallback callback) override {
    result.set_job_id(IdBytes(id));
    result.set_epoch(fence_->epoch().value);
    result.set_name(CleanUtf8(result.name(), kMaxNameBytes));
    result.set_failure_cause(CleanUtf8(result.failure_cause(), kMaxCauseBytes));
    executor_->Post([self = shared_from_this(), id, result = std::move(result),
                     archive = std::move(archive), callback = std::move(callback)]() mutable {
      ++self->commits_under_way_[id];
      self->StoreArchive(id, std::move(result), std::move(archive), std::move(callback));
    });
  }

  void Find(JobId id, Callback<std::optional<pb::JobResult>> callback) override {
    executor_->Post([self = shared_from_this(), id, callback = std::move(callback)]() mutable {
      self->FindNow(id, std::move(callback));
    });
  }

  void LoadArchive(const pb::JobResult& result, Callback<std::string> callback) override {
    if (result.archive_digest().empty()) {
      return executor_->Post([callback = std::move(callback)]() mutable {
        callback(NotFound("the execution of that job was not archived"));
      });
    }
    blobs_->Get(BlobKind::kArchivedExecution, result.archive_digest(), std::move(callback));
  }

  void LoadHistory(StatusCallback callback) override {
    ReadRecords(fence_, fence_->paths().results(), ReadPace::kInTheBackground,
                BindTo(executor_, [self = shared_from_this(), callback = std::move(callback)](
                                      absl::StatusOr<std::vector<StoredRecord>> records) mutable {
                  if (records.ok()) self->OnHistory(*records);
                  callback(records.status());
                }));
  }

  void List(Callback<std::vector<pb::JobResult>> callback) override {
    executor_->Post([self = shared_from_this(), callback = std::move(callback)]() mutable {
      callback(self->history_.List());
    });
  }

  bool history_loaded() const override { return loaded_; }

  bool full() const override {
    return kept_ >= limits_.max_results && AgingNow() - oldest_end_ < ToMillis(limits_.min_age);
  }

 private:
  // By what results age: the wall clock as it was when the leadership began, and the time that has
  // passed since on a clock that does not jump. A wall clock that is set a month ahead would
  // otherwise evict the whole history at once, and each of its jobs could be run again (P2).
  WallMillis AgingNow() const { return wall_start_ + ToMillis(executor_->Now() - started_); }

  void StoreArchive(JobId id, pb::JobResult result, std::string archive, StatusCallback callback) {
    if (archive.empty()) return CommitResult(id, std::move(result), std::move(callback));
    auto pin = pins_->Take(BlobKind::kArchivedExecution, Sha256Hex(archive));
    callback = [pin = std::move(pin), callback = std::move(callback)](absl::Status status) mutable {
      pin->Settle(status);
      callback(std::move(status));
    };
    blobs_->Put(BlobKind::kArchivedExecution, std::move(archive),
                BindTo(executor_, [self = shared_from_this(), id, result = std::move(result),
                                   callback = std::move(callback)](
                                      absl::StatusOr<std::string> digest) mutable {
                  if (digest.ok()) {
                    result.set_archive_digest(*std::move(digest));
                  } else {
                    log::Warning("job ends without its archive job_id={} error=\"{}\"",
                                 id.ToString(), Message(digest.status()));
                  }
                  self->CommitResult(id, std::move(result), std::move(callback));
                }));
  }

  void CommitResult(JobId id, pb::JobResult result, StatusCallback callback) {
    const auto& paths = fence_->paths();
    std::string data = result.SerializeAsString();
    std::vector<CoordinationOp> ops{CoordinationOp::Delete(paths.job(id), kAnyVersion),
                                    CoordinationOp::Create(paths.result(id), std::move(data))};
    if (Broken(Break::kEndedPointersKept)) ops.erase(ops.begin());
    fence_->Commit(std::move(ops),
                   BindTo(executor_, [self = shared_from_this(), id, result = std::move(result),
                                      callback = std::move(callback)](absl::Status status) mutable {
                     self->OnCommitted(id, std::move(result), status, std::move(callback));
                   }));
  }

  void OnCommitted(JobId id, pb::JobResult result, const absl::Status& status,
                   StatusCallback callback) {
    switch (status.code()) {
      case absl::StatusCode::kOk:
        history_.Add(id, std::move(result));
        break;
      case absl::StatusCode::kNotFound:
      case absl::StatusCode::kAlreadyExists:
        // An earlier call for this job may have been applied after it was answered with kUnknown.
        return CheckEarlierCommit(id, std::move(result), status, std::move(callback));
      case absl::StatusCode::kUnknown:
        unsettled_.insert(id);
        break;
      default:
        break;
    }
    EndCommit(id, status, std::move(callback));
  }

  // Applied earlier, if the pointer is gone and the result is there.
  void CheckEarlierCommit(JobId id, pb::JobResult result, const absl::Status& conflict,
                          StatusCallback callback) {
    fence_->client().Get(
        fence_->paths().job(id), nullptr,
        BindTo(executor_, [self = shared_from_this(), id, result = std::move(result), conflict,
                           callback =
                               std::move(callback)](absl::StatusOr<NodeData> pointer) mutable {
          if (pointer.status().code() != absl::StatusCode::kNotFound) {
            return self->EndCommit(id, conflict, std::move(callback));
          }
          self->ReadThrough(
              id, [self, id, result = std::move(result), conflict, callback = std::move(callback)](
                      absl::StatusOr<std::optional<pb::JobResult>> found) mutable {
                if (!found.ok()) return self->EndCommit(id, conflict, std::move(callback));
                if (found->has_value()) {
                  return self->EndCommit(id, absl::OkStatus(), std::move(callback));
                }
                self->CommitWithoutPointer(id, std::move(result), std::move(callback));
              });
        }));
  }

  // Neither pointer nor result: somebody deleted the pointer of a job that ran here, perhaps with
  // its folder (F16). Only this leader writes, so nothing of the job can come between.
  void CommitWithoutPointer(JobId id, pb::JobResult result, StatusCallback callback) {
    log::Error("the pointer of a job that ends was deleted job_id={}", id.ToString());
    MakeFoldersOf(fence_, id,
                  BindTo(executor_, [self = shared_from_this(), id, result = std::move(result),
                                     callback = std::move(callback)](absl::Status made) mutable {
                    if (!made.ok()) return self->EndCommit(id, made, std::move(callback));
                    std::string data = result.SerializeAsString();
                    self->fence_->Commit(
                        {CoordinationOp::Create(self->fence_->paths().result(id), std::move(data))},
                        BindTo(self->executor_, [self, id, result = std::move(result),
                                                 callback = std::move(callback)](
                                                    const absl::Status& status) mutable {
                          if (status.ok()) self->history_.Add(id, std::move(result));
                          if (absl::IsUnknown(status)) self->unsettled_.insert(id);
                          self->EndCommit(id, status, std::move(callback));
                        }));
                  }));
  }

  void EndCommit(JobId id, const absl::Status& status, StatusCallback callback) {
    if (--commits_under_way_[id] == 0) {
      commits_under_way_.erase(id);
      auto waiting = waiting_finds_.extract(id);
      if (!waiting.empty()) {
        for (auto& find : waiting.mapped()) FindNow(id, std::move(find));
      }
    }
    Account();
    callback(status);
    Evict();
  }

  void FindNow(JobId id, Callback<std::optional<pb::JobResult>> callback) {
    if (const pb::JobResult* known = history_.Find(id)) return callback(*known);
    if (commits_under_way_.contains(id)) {
      return waiting_finds_[id].push_back(std::move(callback));
    }
    if (loaded_ && !unsettled_.contains(id)) return callback(std::nullopt);
    ReadThrough(id, std::move(callback));
  }

  // Sync first: a commit of unknown outcome that was sent before is settled by then. The callback
  // comes on executor_.
  void ReadThrough(JobId id, Callback<std::optional<pb::JobResult>> callback) {
    const std::string path = fence_->paths().result(id);
    fence_->client().Sync(
        path, [self = shared_from_this(), id, path,
               callback = std::move(callback)](const absl::Status& synced) mutable {
          auto bound = BindTo(self->executor_, [self, id, callback = std::move(callback)](
                                                   absl::StatusOr<NodeData> read) mutable {
            callback(self->OnRead(id, read));
          });
          if (!synced.ok()) return bound(absl::StatusOr<NodeData>(synced));
          self->fence_->client().Get(path, nullptr, std::move(bound));
        });
  }

  absl::StatusOr<std::optional<pb::JobResult>> OnRead(const JobId& id,
                                                      const absl::StatusOr<NodeData>& read) {
    if (read.status().code() == absl::StatusCode::kNotFound) return std::nullopt;
    if (!read.ok()) return read.status();
    auto result = ReadResult(id, read->data);
    if (!result.ok()) return result.status();
    history_.Add(id, *result);
    Account();
    return std::optional(*std::move(result));
  }

  void OnHistory(const std::vector<StoredRecord>& records) {
    for (const auto& record : records) {
      auto result = ReadResult(record.id, record.data);
      if (result.ok()) {
        history_.Add(record.id, *std::move(result));
      } else {
        // That job has ended, whatever became of its result: Find must never say that it has not.
        unsettled_.insert(record.id);
        log::Error("result is unreadable job_id={}", record.id.ToString());
      }
    }
    loaded_ = true;
    Account();
    Evict();
    ArmEviction();
  }

  void ArmEviction() {
    executor_->PostAfter(kEvictionInterval,
                         IfAlive(weak_from_this(), [](ZnodeJobResultStore& self) {
                           self.Evict();
                           self.ArmEviction();
                         }));
  }

  // Deletes what the limits no longer allow, a batch at a time, until nothing is left to delete.
  void Evict() {
    if (!loaded_ || evicting_) return;
    auto expired = history_.Expired(AgingNow(), kEvictedAtOnce);
    if (expired.empty()) return;
    evicting_ = true;
    const size_t count = expired.size();
    RunBounded(
        count, count,
        [self = shared_from_this(), expired = std::move(expired)](size_t i, StepDone done) {
          self->EvictOne(expired[i], std::move(done));
        },
        BindTo(executor_,
               IfAlive(weak_from_this(), [](ZnodeJobResultStore& self, const absl::Status& status) {
                 self.evicting_ = false;
                 // After an error the timer tries again, or nobody leads here.
                 if (status.ok()) self.Evict();
               })));
  }

  // Each is a transaction of its own, so that one conflict costs no other; the fence groups them.
  void EvictOne(JobId id, StepDone done) {
    fence_->Commit({CoordinationOp::Delete(fence_->paths().result(id), kAnyVersion)},
                   BindTo(executor_, [self = shared_from_this(), id,
                                      done = std::move(done)](absl::Status status) mutable {
                     const bool gone = status.ok() || status.code() == absl::StatusCode::kNotFound;
                     if (gone) self->history_.Remove(id);
                     self->Account();
                     done(gone ? absl::OkStatus() : std::move(status));
                   }));
  }

  void Account() {
    oldest_end_ = history_.oldest_end().value_or(0);
    kept_ = history_.size();
  }

  const LeaderFencePtr fence_;
  const BlobStorePtr blobs_;
  const BlobPinsPtr pins_;
  const ExecutorPtr executor_;
  const HistoryLimits limits_;
  const TimePoint started_;
  const WallMillis wall_start_;

  // On executor_:
  ResultHistory history_;
  bool evicting_ = false;  // at most one batch is under way
  absl::flat_hash_map<JobId, int> commits_under_way_;
  absl::flat_hash_set<JobId> unsettled_;
  std::map<JobId, std::vector<Callback<std::optional<pb::JobResult>>>> waiting_finds_;

  // Read by any thread:
  std::atomic<bool> loaded_ = false;  // history_ holds every result but those in unsettled_
  std::atomic<size_t> kept_ = 0;
  std::atomic<WallMillis> oldest_end_ = 0;
};

}  // namespace

JobResultStorePtr NewJobResultStore(LeaderFencePtr fence, BlobStorePtr blobs, BlobPinsPtr pins,
                                    ExecutorPtr executor, HistoryLimits limits) {
  return std::make_shared<ZnodeJobResultStore>(std::move(fence), std::move(blobs), std::move(pins),
                                               std::move(executor), limits);
}

}  // namespace baton
