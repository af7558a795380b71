#include "store/record_folder.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "store/bounded_loop.h"

namespace baton {
namespace {

constexpr size_t kReadsAtOnce = 500;
constexpr size_t kBackgroundReads = 16;
constexpr char kHexDigits[] = "0123456789abcdef";

bool IsGone(const absl::Status& status) { return status.code() == absl::StatusCode::kNotFound; }

// Lives on the coordination client's executor once it has begun; its reads hold it.
class FolderReader : public std::enable_shared_from_this<FolderReader> {
 public:
  FolderReader(LeaderFencePtr fence, std::string folder, ReadPace pace, RecordsCallback callback)
      : fence_(std::move(fence)),
        folder_(std::move(folder)),
        reads_at_once_(pace == ReadPace::kInTheBackground ? kBackgroundReads : kReadsAtOnce),
        callback_(std::move(callback)) {}

  // Those that are not there are a new cluster's. What else stands there is asked at the same time,
  // not before: a leader that takes over would wait for one answer more.
  void Begin() {
    RunBounded(
        buckets_.size() + 1, reads_at_once_,
        [self = shared_from_this()](size_t i, StepDone done) {
          if (i == self->buckets_.size()) return self->LookForOthers(std::move(done));
          self->ListBucket(self->folder_ + "/" + self->buckets_[i], std::move(done));
        },
        [self = shared_from_this()](const absl::Status& status) {
          status.ok() ? self->ReadNodes() : self->Finish(status);
        });
  }

 private:
  void LookForOthers(StepDone done) {
    fence_->client().Children(
        folder_, nullptr,
        [self = shared_from_this(),
         done = std::move(done)](const absl::StatusOr<std::vector<std::string>>& names) mutable {
          if (!names.ok()) return done(IsGone(names.status()) ? absl::OkStatus() : names.status());
          done(self->CheckNames(*names));
        });
  }

  absl::Status CheckNames(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      if (std::find(buckets_.begin(), buckets_.end(), name) != buckets_.end()) continue;
      const bool old = name.size() == 2 && name.find_first_not_of(kHexDigits) == std::string::npos;
      if (old) {
        return FailedPrecondition(
            "{}/{} was made by a version that kept jobs in 256 folders: end its jobs with that "
            "version, or start under another high-availability.cluster-id",
            folder_, name);
      }
      log::Error("a node that is no folder of jobs is left alone path={}/{}", folder_, name);
    }
    return absl::OkStatus();
  }

  void ListBucket(const std::string& bucket, StepDone done) {
    fence_->client().Children(
        bucket, nullptr,
        [self = shared_from_this(), bucket,
         done = std::move(done)](absl::StatusOr<std::vector<std::string>> names) mutable {
          if (!names.ok()) return done(IsGone(names.status()) ? absl::OkStatus() : names.status());
          for (const auto& name : *names) self->AddNode(bucket + "/" + name, name);
          done(absl::OkStatus());
        });
  }

  void AddNode(std::string path, const std::string& name) {
    const auto id = JobId::Parse(name);
    if (id.ok()) {
      nodes_.push_back({*id, std::move(path)});
    } else {
      log::Error("a node that names no job is left alone path={}", path);
    }
  }

  void ReadNodes() {
    RunBounded(
        nodes_.size(), reads_at_once_,
        [self = shared_from_this()](size_t i, StepDone done) {
          self->ReadNode(self->nodes_[i], std::move(done));
        },
        [self = shared_from_this()](const absl::Status& status) { self->Finish(status); });
  }

  struct Node {
    JobId id;
    std::string path;
  };

  void ReadNode(const Node& node, StepDone done) {
    fence_->client().Get(node.path, nullptr,
                         [self = shared_from_this(), id = node.id,
                          done = std::move(done)](absl::StatusOr<NodeData> read) mutable {
                           if (IsGone(read.status())) return done(absl::OkStatus());
                           if (!read.ok()) return done(read.status());
                           self->records_.push_back({id, std::move(read->data)});
                           done(absl::OkStatus());
                         });
  }

  void Finish(const absl::Status& status) {
    if (!status.ok()) return callback_(status);
    callback_(std::move(records_));
  }

  const LeaderFencePtr fence_;
  const std::string folder_;
  const size_t reads_at_once_;
  RecordsCallback callback_;
  const std::vector<std::string> buckets_ = BucketNames();
  std::vector<Node> nodes_;
  std::vector<StoredRecord> records_;
};

}  // namespace

std::vector<std::string> BucketNames() {
  std::vector<std::string> names;
  for (const char digit : std::string_view(kHexDigits)) names.emplace_back(1, digit);
  return names;
}

void ReadRecords(LeaderFencePtr fence, std::string folder, ReadPace pace,
                 RecordsCallback callback) {
  std::make_shared<FolderReader>(std::move(fence), std::move(folder), pace, std::move(callback))
      ->Begin();
}

void MakeFoldersOf(LeaderFencePtr fence, JobId id,
                   absl::AnyInvocable<void(absl::Status)> callback) {
  const auto& paths = fence->paths();
  std::vector<std::string> folders{paths.jobs(), paths.results(), paths.jobs() + "/" + id.Bucket(),
                                   paths.results() + "/" + id.Bucket()};
  const size_t count = folders.size();
  RunBounded(
      count, 1,
      [fence, folders = std::move(folders)](size_t i, StepDone done) {
        fence->Commit({CoordinationOp::Create(folders[i], "")},
                      [done = std::move(done)](absl::Status status) mutable {
                        const bool there = status.code() == absl::StatusCode::kAlreadyExists;
                        done(there ? absl::OkStatus() : std::move(status));
                      });
      },
      std::move(callback));
}

}  // namespace baton
