#include "store/job_graph_store.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/deliberate_break.h"
#include "base/digest.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"
#include "base/utf8.h"
#include "store/bounded_loop.h"
#include "store/record_folder.h"

namespace baton {
namespace {

constexpr size_t kCommitsAtOnce = 1'000;
constexpr size_t kMaxPointerBytes = 900 << 10;  // a znode holds 1 MiB
constexpr size_t kMaxCauseBytes = 16 << 10;
constexpr size_t kMaxNameBytes = 4 << 10;

std::string IdBytes(const JobId& id) { return std::string(id.bytes().begin(), id.bytes().end()); }

RecoveredPointer ParsePointer(const StoredRecord& record) {
  pb::JobPointer pointer;
  if (!pointer.ParseFromString(record.data)) {
    return {record.id, DataLoss("the pointer of job {} is unreadable ({} bytes)",
                                record.id.ToString(), record.data.size())};
  }
  // An empty node parses too.
  if (pointer.job_id() != IdBytes(record.id)) {
    return {record.id, DataLoss("the pointer of job {} names another job ({} bytes)",
                                record.id.ToString(), record.data.size())};
  }
  return {record.id, std::move(pointer)};
}

// Has no executor: its only state is atomic, its steps follow one another by callbacks.
class ZnodeJobGraphStore final : public JobGraphStore,
                                 public std::enable_shared_from_this<ZnodeJobGraphStore> {
 public:
  ZnodeJobGraphStore(LeaderFencePtr fence, BlobStorePtr blobs, BlobPinsPtr pins)
      : fence_(std::move(fence)), blobs_(std::move(blobs)), pins_(std::move(pins)) {}

  void Prepare(StatusCallback callback) override {
    const auto& paths = fence_->paths();
    MakeMissing(paths.base(), {"jobs", "results", "roster"},
                [self = shared_from_this(),
                 callback = std::move(callback)](const absl::Status& status) mutable {
                  if (!status.ok()) return callback(status);
                  self->MakeBuckets(std::move(callback));
                });
  }

  void List(Callback<std::vector<RecoveredPointer>> callback) override {
    ReadRecords(fence_, fence_->paths().jobs(), ReadPace::kWhatIsWaitedFor,
                [self = shared_from_this(), callback = std::move(callback)](
                    absl::StatusOr<std::vector<StoredRecord>> records) mutable {
                  if (!records.ok()) return callback(records.status());
                  std::vector<RecoveredPointer> pointers;
                  for (const auto& record : *records) pointers.push_back(ParsePointer(record));
                  for (const auto& found : pointers) {
                    if (found.pointer.ok()) self->NoteSequence(found.pointer->sequence());
                  }
                  callback(std::move(pointers));
                });
  }

  void Add(JobId id, const JobGraph& graph, pb::JobPointer pointer,
           Callback<pb::JobPointer> callback) override {
    FaultPoint("submission.before-store");
    std::string stored = ToStored(graph);
    pointer.set_graph_size(stored.size());
    auto pin = pins_->Take(BlobKind::kJobGraph, Sha256Hex(stored));
    callback = [pin = std::move(pin),
                callback = std::move(callback)](absl::StatusOr<pb::JobPointer> added) mutable {
      pin->Settle(added.status());
      callback(std::move(added));
    };
    blobs_->Put(BlobKind::kJobGraph, std::move(stored),
                [self = shared_from_this(), id, pointer = std::move(pointer),
                 callback = std::move(callback)](absl::StatusOr<std::string> digest) mutable {
                  if (!digest.ok()) return callback(digest.status());
                  FaultPoint("submission.replicated");
                  pointer.set_graph_digest(*std::move(digest));
                  self->CommitNew(id, std::move(pointer), std::move(callback));
                });
  }

  void ReadPointer(JobId id, Callback<pb::JobPointer> callback) override {
    fence_->client().Get(fence_->paths().job(id), nullptr,
                         [self = shared_from_this(), id,
                          callback = std::move(callback)](absl::StatusOr<NodeData> node) mutable {
                           if (!node.ok()) return callback(node.status());
                           auto read = ParsePointer({id, std::move(node->data)});
                           if (read.pointer.ok()) self->NoteSequence(read.pointer->sequence());
                           callback(std::move(read.pointer));
                         });
  }

  void Update(JobId id, pb::JobPointer pointer, StatusCallback callback) override {
    auto data = Seal(id, pointer);
    if (!data.ok()) return callback(data.status());
    fence_->Commit({CoordinationOp::Set(fence_->paths().job(id), *data, kAnyVersion)},
                   [self = shared_from_this(), id, data = *data,
                    callback = std::move(callback)](absl::Status status) mutable {
                     if (status.code() != absl::StatusCode::kNotFound) return callback(status);
                     self->MakeAgain(id, std::move(data), std::move(callback));
                   });
  }

  void LoadGraph(const pb::JobPointer& pointer, Callback<JobGraphPtr> callback) override {
    blobs_->Get(BlobKind::kJobGraph, pointer.graph_digest(),
                [callback = std::move(callback)](absl::StatusOr<std::string> bytes) mutable {
                  if (!bytes.ok()) return callback(bytes.status());
                  callback(FromStored(*bytes));
                });
  }

 private:
  // The pointer of a job that runs here is gone: nobody but us may have deleted it, so somebody
  // damaged the tree. Not where a result stands: then the job ended by an earlier commit of ours.
  void MakeAgain(JobId id, std::string data, StatusCallback callback) {
    log::Error("the pointer of a live job was deleted, making it again job_id={}", id.ToString());
    MakeFoldersOf(fence_, id,
                  [self = shared_from_this(), id, data = std::move(data),
                   callback = std::move(callback)](absl::Status status) mutable {
                    if (!status.ok()) return callback(std::move(status));
                    self->fence_->Commit(self->NewPointerOps(id, std::move(data)),
                                         std::move(callback));
                  });
  }

  // The pointer first: it is what tells, after an unknown outcome, whether this was applied. Then
  // what refuses all of it where a result stands: nothing else keeps an ended job from running
  // again before the history is known (P2, P6).
  std::vector<CoordinationOp> NewPointerOps(const JobId& id, std::string data) const {
    const auto& paths = fence_->paths();
    if (Broken(Break::kEndedIdsRunAgain)) {
      return {CoordinationOp::Create(paths.job(id), std::move(data))};
    }
    return {CoordinationOp::Create(paths.job(id), std::move(data)),
            CoordinationOp::Create(paths.result(id), ""),
            CoordinationOp::Delete(paths.result(id), kAnyVersion)};
  }

  void MakeBuckets(StatusCallback callback) {
    const auto& paths = fence_->paths();
    const std::vector<std::string> folders{paths.jobs(), paths.results()};
    RunBounded(
        folders.size(), folders.size(),
        [self = shared_from_this(), folders](size_t i, StepDone done) {
          self->MakeMissing(folders[i], BucketNames(), std::move(done));
        },
        std::move(callback));
  }

  // Makes those of `names` in `folder` that are not there: one listing when all are. Each is a
  // transaction of its own, so that one that is there after all fails alone; the fence groups them.
  void MakeMissing(std::string folder, std::vector<std::string> names, StatusCallback callback) {
    fence_->client().Children(
        folder, nullptr,
        [self = shared_from_this(), folder, names = std::move(names),
         callback = std::move(callback)](absl::StatusOr<std::vector<std::string>> there) mutable {
          if (!there.ok()) return callback(At(folder, there.status()));
          std::erase_if(names, [&](const auto& name) {
            return std::find(there->begin(), there->end(), name) != there->end();
          });
          const size_t count = names.size();
          RunBounded(
              count, kCommitsAtOnce,
              [self, folder, names = std::move(names)](size_t i, StepDone done) {
                self->Make(folder + "/" + names[i], std::move(done));
              },
              std::move(callback));
        });
  }

  void Make(std::string path, StepDone done) {
    fence_->Commit({CoordinationOp::Create(std::move(path), "")},
                   [done = std::move(done)](absl::Status status) mutable {
                     const bool there = status.code() == absl::StatusCode::kAlreadyExists;
                     done(there ? absl::OkStatus() : std::move(status));
                   });
  }

  void CommitNew(JobId id, pb::JobPointer pointer, Callback<pb::JobPointer> callback) {
    auto data = Seal(id, pointer);
    if (!data.ok()) return callback(data.status());
    fence_->Commit(NewPointerOps(id, *data),
                   [self = shared_from_this(), id, data = *data, pointer = std::move(pointer),
                    callback = std::move(callback)](const absl::Status& status) mutable {
                     if (status.code() == absl::StatusCode::kNotFound) {
                       return self->CommitInNewFolders(id, std::move(data), std::move(pointer),
                                                       std::move(callback));
                     }
                     OnNewCommitted(status, std::move(pointer), std::move(callback));
                   });
  }

  void CommitInNewFolders(JobId id, std::string data, pb::JobPointer pointer,
                          Callback<pb::JobPointer> callback) {
    log::Error("folders of the tree were deleted, making them again job_id={}", id.ToString());
    MakeFoldersOf(
        fence_, id,
        [self = shared_from_this(), id, data = std::move(data), pointer = std::move(pointer),
         callback = std::move(callback)](const absl::Status& made) mutable {
          if (!made.ok()) return callback(made);
          self->fence_->Commit(self->NewPointerOps(id, std::move(data)),
                               [pointer = std::move(pointer), callback = std::move(callback)](
                                   const absl::Status& status) mutable {
                                 OnNewCommitted(status, std::move(pointer), std::move(callback));
                               });
        });
  }

  static void OnNewCommitted(const absl::Status& status, pb::JobPointer pointer,
                             Callback<pb::JobPointer> callback) {
    if (!status.ok()) return callback(status);
    FaultPoint("submission.pointer-committed");
    callback(std::move(pointer));
  }

  // The bytes of the next version.
  absl::StatusOr<std::string> Seal(const JobId& id, pb::JobPointer& pointer) {
    pointer.set_job_id(IdBytes(id));
    pointer.set_epoch(fence_->epoch().value);
    pointer.set_sequence(NoteSequence(pointer.sequence()) + 1);
    pointer.set_name(CleanUtf8(pointer.name(), kMaxNameBytes));
    pointer.set_failing_cause(CleanUtf8(pointer.failing_cause(), kMaxCauseBytes));
    std::string data = pointer.SerializeAsString();
    const bool ending = pointer.cancelling() || !pointer.failing_cause().empty();
    if (data.size() > kMaxPointerBytes && ending) {
      // That it ends must be durable; how far it came no longer matters, for it starts nothing.
      pointer.clear_progress();
      data = pointer.SerializeAsString();
    }
    if (data.size() > kMaxPointerBytes) {
      return ResourceExhausted("the pointer of job {} has {} bytes, more than {}", id.ToString(),
                               data.size(), kMaxPointerBytes);
    }
    return data;
  }

  // One counter for all jobs: raises it above `seen` and returns a number that nobody else gets.
  uint64_t NoteSequence(uint64_t seen) {
    uint64_t last = last_sequence_.load();
    while (!last_sequence_.compare_exchange_weak(last, std::max(last, seen) + 1)) {
    }
    return std::max(last, seen);
  }

  const LeaderFencePtr fence_;
  const BlobStorePtr blobs_;
  const BlobPinsPtr pins_;
  std::atomic<uint64_t> last_sequence_ = 0;
};

}  // namespace

JobGraphStorePtr NewJobGraphStore(LeaderFencePtr fence, BlobStorePtr blobs, BlobPinsPtr pins) {
  return std::make_shared<ZnodeJobGraphStore>(std::move(fence), std::move(blobs), std::move(pins));
}

}  // namespace baton
