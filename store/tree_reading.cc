#include "store/tree_reading.h"

#include <set>
#include <utility>
#include <vector>

#include "base/status.h"
#include "rpc/records.pb.h"
#include "store/bounded_loop.h"

namespace baton {
namespace {

constexpr size_t kReadsAtOnce = 16;

bool IsGone(const absl::Status& status) { return status.code() == absl::StatusCode::kNotFound; }

// Bound to the journal is whatever the client answers: it goes from the client's executor to the
// journal's in the order of the effects.
class TreeReading : public std::enable_shared_from_this<TreeReading> {
 public:
  TreeReading(std::weak_ptr<CoordinationClient> client, CoordinationPaths paths,
              RecordJournalPtr journal, absl::AnyInvocable<void(absl::Status)> callback)
      : client_(std::move(client)),
        paths_(std::move(paths)),
        journal_(std::move(journal)),
        callback_(std::move(callback)) {}

  void Begin() {
    auto client = client_.lock();
    if (!client) return Finish(Aborted("the session is over"));
    client->Sync(paths_.epoch(), BindTo(journal_->executor(),
                                        [self = shared_from_this()](const absl::Status& status) {
                                          status.ok() ? self->ReadEpoch() : self->Finish(status);
                                        }));
  }

 private:
  struct Folder {
    std::string name;  // "jobs/"
    std::string path;
    int levels;
    RecordJournal::Mark began = 0;
    std::set<std::string> records;  // paths
  };

  // The client, or null: then this reading is over.
  CoordinationClientPtr Client() {
    auto client = client_.lock();
    if (!client) Finish(Aborted("the session is over"));
    return client;
  }

  void ReadEpoch() {
    if (auto client = Client()) {
      client->Get(
          paths_.epoch(), nullptr,
          BindTo(journal_->executor(), [self = shared_from_this()](absl::StatusOr<NodeData> node) {
            self->OnEpoch(std::move(node));
          }));
    }
  }

  void OnEpoch(absl::StatusOr<NodeData> node) {
    if (!node.ok() && !IsGone(node.status())) return Finish(node.status());
    pb::LeaderRecord record;
    if (node.ok() && !record.ParseFromString(node->data)) record.Clear();
    const Epoch known = journal_->highest_epoch();
    if (record.epoch() < known.value || record.epoch() == 0) {
      return Finish(FailedPrecondition("`epoch` in the tree says {}, the journal {}",
                                       record.epoch(), known.value));
    }
    journal_->NoteEpoch(Epoch{record.epoch()});
    folders_ = {{RecordJournal::kJobs, paths_.jobs(), 2, 0, {}},
                {RecordJournal::kResults, paths_.results(), 2, 0, {}},
                {RecordJournal::kRoster, paths_.roster(), 1, 0, {}}};
    ReadNode(paths_.members(), [self = shared_from_this()](const absl::Status& status) {
      status.ok() ? self->ReadFolder(0) : self->Finish(status);
    });
  }

  void ReadFolder(size_t index) {
    if (index == folders_.size()) {
      journal_->NoteComplete();
      return Finish(absl::OkStatus());
    }
    folders_[index].began = journal_->last_mark();
    List(index, folders_[index].path, folders_[index].levels,
         [self = shared_from_this(), index](const absl::Status& status) {
           status.ok() ? self->ReadRecords(index) : self->Finish(status);
         });
  }

  void List(size_t index, const std::string& path, int levels, StepDone done) {
    auto client = Client();
    if (!client) return;
    client->Children(
        path, nullptr,
        BindTo(journal_->executor(),
               [self = shared_from_this(), index, path, levels,
                done = std::move(done)](absl::StatusOr<std::vector<std::string>> names) mutable {
                 if (IsGone(names.status())) {
                   return done(FailedPrecondition("the folder {} is missing", path));
                 }
                 if (!names.ok()) return done(names.status());
                 self->OnListed(index, path, levels, *std::move(names), std::move(done));
               }));
  }

  void OnListed(size_t index, const std::string& path, int levels, std::vector<std::string> names,
                StepDone done) {
    if (levels == 1) {
      for (const auto& name : names) folders_[index].records.insert(path + "/" + name);
      return done(absl::OkStatus());
    }
    const size_t count = names.size();
    RunBounded(
        count, kReadsAtOnce,
        [self = shared_from_this(), index, path, levels, names = std::move(names)](size_t i,
                                                                                   StepDone done) {
          self->List(index, path + "/" + names[i], levels - 1, std::move(done));
        },
        std::move(done));
  }

  void ReadRecords(size_t index) {
    const Folder& folder = folders_[index];
    std::vector<std::string> wanted;
    for (const auto& path : folder.records) {
      const bool unchanging = folder.name == RecordJournal::kResults;
      if (!unchanging || !journal_->Knows(path)) wanted.push_back(path);
    }
    const size_t count = wanted.size();
    RunBounded(
        count, kReadsAtOnce,
        [self = shared_from_this(), wanted = std::move(wanted)](size_t i, StepDone done) {
          self->ReadNode(wanted[i], std::move(done));
        },
        [self = shared_from_this(), index](const absl::Status& status) {
          if (!status.ok()) return self->Finish(status);
          const Folder& folder = self->folders_[index];
          self->journal_->ForgetUnlisted(folder.name, folder.records, folder.began);
          self->ReadFolder(index + 1);
        });
  }

  // One that is gone by now is left to the next reading.
  void ReadNode(const std::string& path, StepDone done) {
    auto client = Client();
    if (!client) return;
    client->Get(
        path, nullptr,
        BindTo(journal_->executor(), [self = shared_from_this(), path, done = std::move(done)](
                                         absl::StatusOr<NodeData> node) mutable {
          if (node.ok()) self->journal_->Learn(path, std::move(node->data));
          done(node.ok() || IsGone(node.status()) ? absl::OkStatus() : node.status());
        }));
  }

  void Finish(const absl::Status& status) {
    if (callback_) std::exchange(callback_, nullptr)(status);
  }

  const std::weak_ptr<CoordinationClient> client_;
  const CoordinationPaths paths_;
  const RecordJournalPtr journal_;
  absl::AnyInvocable<void(absl::Status)> callback_;
  std::vector<Folder> folders_;
};

}  // namespace

void ReadTree(std::weak_ptr<CoordinationClient> client, CoordinationPaths paths,
              RecordJournalPtr journal, absl::AnyInvocable<void(absl::Status)> callback) {
  std::make_shared<TreeReading>(std::move(client), std::move(paths), std::move(journal),
                                std::move(callback))
      ->Begin();
}

}  // namespace baton
