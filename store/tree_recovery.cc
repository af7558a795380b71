#include "store/tree_recovery.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "fmt/ranges.h"
#include "rpc/records.pb.h"
#include "store/bounded_loop.h"
#include "store/journal_gathering.h"
#include "store/journal_merge.h"
#include "store/record_folder.h"

namespace baton {
namespace {

constexpr size_t kWritesAtOnce = 50;
constexpr uint64_t kMarginForTheUnasked = 1'000;

using Code = absl::StatusCode;

class TreeRecovery : public std::enable_shared_from_this<TreeRecovery> {
 public:
  TreeRecovery(TreeRecoveryDependencies dependencies, std::set<std::string> without,
               TreeRecoveryCallback callback)
      : deps_(std::move(dependencies)),
        without_(std::move(without)),
        callback_(std::move(callback)) {}

  void Begin() {
    Read(deps_.paths.leader(), [self = shared_from_this()](absl::StatusOr<NodeData> leader) {
      if (leader.ok()) return self->Finish(FailedPrecondition("a leader lives"));
      if (leader.status().code() != Code::kNotFound) return self->Finish(leader.status());
      self->ReadEpoch();
    });
  }

 private:
  using NodeCallback = absl::AnyInvocable<void(absl::StatusOr<NodeData>)>;

  CoordinationClientPtr Client() {
    auto client = deps_.client.lock();
    if (!client) Finish(Aborted("the session is over"));
    return client;
  }

  void Read(const std::string& path, NodeCallback callback) {
    if (auto client = Client()) {
      client->Get(path, nullptr, BindTo(deps_.executor, std::move(callback)));
    }
  }

  void ReadEpoch() {
    Read(deps_.paths.epoch(), [self = shared_from_this()](absl::StatusOr<NodeData> epoch) {
      const bool missing = epoch.status().code() == Code::kNotFound;
      if (!epoch.ok() && !missing) return self->Finish(epoch.status());
      if (epoch.ok()) self->epoch_node_ = *std::move(epoch);
      self->Gather();
    });
  }

  void Gather() {
    GatherJournals({deps_.executor, deps_.journal, deps_.peers(), deps_.self, deps_.epoch_seen()},
                   [self = shared_from_this()](absl::StatusOr<std::vector<JournalCopy>> copies) {
                     copies.ok() ? self->OnGathered(*std::move(copies))
                                 : self->Finish(copies.status());
                   });
  }

  void OnGathered(std::vector<JournalCopy> copies) {
    merged_ = MergeJournals(copies);
    for (const JournalCopy& copy : copies) report_.asked.push_back(copy.replica);
    report_.ignored = merged_.ignored;
    if (absl::Status status = Check(); !status.ok()) return Finish(status);
    report_.epoch = merged_.highest_epoch.value + (without_.empty() ? 1 : kMarginForTheUnasked);
    log::Info("rebuilding the tree records={} epoch={} journals={}", merged_.records.size(),
              report_.epoch, fmt::join(report_.asked, ","));
    MakeFolders();
  }

  // Whether this is the time, and whether everybody was asked who must be.
  absl::Status Check() const {
    pb::LeaderRecord record;
    if (epoch_node_ && record.ParseFromString(epoch_node_->data) &&
        record.epoch() >= merged_.highest_epoch.value) {
      return FailedPrecondition("nothing is lost: `epoch` says {}, no journal knows a later one",
                                record.epoch());
    }
    if (merged_.highest_epoch.value == 0) {
      return FailedPrecondition("no journal here or at a peer knows of any epoch");
    }
    pb::MemberList members;
    if (auto it = merged_.records.find(RecordJournal::kMembers); it != merged_.records.end()) {
      members.ParseFromString(it->second);
    }
    for (const auto& member : members.members()) {
      const bool asked = std::ranges::count(report_.asked, member.replica_id()) != 0;
      if (asked || without_.contains(member.replica_id())) continue;
      return FailedPrecondition(
          "replica {} is a member and cannot be asked for its journal; start it, or say that it is "
          "lost (--without {})",
          member.replica_id(), member.replica_id());
    }
    return absl::OkStatus();
  }

  void MakeFolders() {
    std::vector<std::string> folders{deps_.paths.jobs(), deps_.paths.results(),
                                     deps_.paths.roster()};
    for (const std::string& bucket : BucketNames()) {
      folders.push_back(deps_.paths.jobs() + "/" + bucket);
      folders.push_back(deps_.paths.results() + "/" + bucket);
    }
    const size_t count = folders.size();
    RunBounded(
        count, 1,  // parents first
        [self = shared_from_this(), folders = std::move(folders)](size_t i, StepDone done) {
          auto client = self->Client();
          if (!client) return;
          client->Create(
              folders[i], "", NodeKind::kPersistent,
              BindTo(self->deps_.executor, [done = std::move(done)](absl::Status status) mutable {
                const bool there = status.code() == Code::kAlreadyExists;
                done(there ? absl::OkStatus() : std::move(status));
              }));
        },
        [self = shared_from_this()](const absl::Status& status) {
          status.ok() ? self->WriteRecords() : self->Finish(status);
        });
  }

  void WriteRecords() {
    std::vector<std::string> keys;
    for (const auto& [key, data] : merged_.records) {
      keys.push_back(key);
      report_.jobs += key.starts_with(RecordJournal::kJobs);
      report_.results += key.starts_with(RecordJournal::kResults);
    }
    const size_t count = keys.size();
    // Several at once: transactions that each make and remove `epoch` are not in each other's way,
    // for none sees another half done.
    RunBounded(
        count, kWritesAtOnce,
        [self = shared_from_this(), keys = std::move(keys)](size_t i, StepDone done) {
          self->WriteRecord(keys[i], std::move(done));
        },
        [self = shared_from_this()](const absl::Status& status) {
          status.ok() ? self->WriteEpoch() : self->Finish(status);
        });
  }

  void WriteRecord(const std::string& key, StepDone done) {
    Read(deps_.paths.base() + "/" + key,
         [self = shared_from_this(), key, done = std::move(done)](auto there) mutable {
           const std::string path = self->deps_.paths.base() + "/" + key;
           const std::string& data = self->merged_.records.at(key);
           std::vector<CoordinationOp> ops;
           if (there.status().code() == Code::kNotFound) {
             ops.push_back(CoordinationOp::Create(path, data));
           } else if (!there.ok()) {
             return done(there.status());
           } else if (there->data != data && !IsLaterRecord(key, data, there->data)) {
             ops.push_back(CoordinationOp::Set(path, data, there->stat.version));
           }
           self->DropPointer(key, std::move(ops), std::move(done));
         });
  }

  // A tree that was set back may have the pointer of a job that has ended.
  void DropPointer(const std::string& key, std::vector<CoordinationOp> ops, StepDone done) {
    const std::string results = RecordJournal::kResults;
    if (!key.starts_with(results)) return Commit(std::move(ops), std::move(done));
    const std::string pointer = deps_.paths.jobs() + "/" + key.substr(results.size());
    Read(pointer, [self = shared_from_this(), pointer, ops = std::move(ops),
                   done = std::move(done)](auto there) mutable {
      if (there.ok()) ops.push_back(CoordinationOp::Delete(pointer, there->stat.version));
      if (!there.ok() && there.status().code() != Code::kNotFound) return done(there.status());
      self->Commit(std::move(ops), std::move(done));
    });
  }

  // The guard: `epoch` is as it was found.
  void Commit(std::vector<CoordinationOp> ops, StepDone done) {
    if (ops.empty()) return done(absl::OkStatus());
    auto client = Client();
    if (!client) return;
    const std::string epoch = deps_.paths.epoch();
    if (epoch_node_) {
      ops.insert(ops.begin(), CoordinationOp::Check(epoch, epoch_node_->stat.version));
    } else {
      ops.insert(ops.begin(), CoordinationOp::Create(epoch, ""));
      ops.push_back(CoordinationOp::Delete(epoch, kAnyVersion));
    }
    client->Multi(std::move(ops),
                  BindTo(deps_.executor, [done = std::move(done)](MultiResult result) mutable {
                    done(std::move(result.status));
                  }));
  }

  void WriteEpoch() {
    auto client = Client();
    if (!client) return;
    pb::LeaderRecord record;
    record.set_epoch(report_.epoch);
    record.set_cause("recovery");
    record.set_since_ms(deps_.executor->WallNow());
    const std::string data = record.SerializeAsString();
    std::vector<CoordinationOp> ops;
    ops.push_back(epoch_node_
                      ? CoordinationOp::Set(deps_.paths.epoch(), data, epoch_node_->stat.version)
                      : CoordinationOp::Create(deps_.paths.epoch(), data));
    client->Multi(std::move(ops),
                  BindTo(deps_.executor, [self = shared_from_this()](const MultiResult& result) {
                    self->Finish(result.status);
                  }));
  }

  void Finish(const absl::Status& status) {
    if (!callback_) return;
    if (status.ok()) {
      log::Info("the tree is rebuilt epoch={} jobs={} results={}", report_.epoch, report_.jobs,
                report_.results);
      return std::exchange(callback_, nullptr)(report_);
    }
    log::Warning("the tree is not rebuilt: {}", Message(status));
    std::exchange(callback_, nullptr)(status);
  }

  const TreeRecoveryDependencies deps_;
  const std::set<std::string> without_;
  TreeRecoveryCallback callback_;
  std::optional<NodeData> epoch_node_;
  MergedJournal merged_;
  TreeRecoveryReport report_;
};

}  // namespace

void RecoverTree(TreeRecoveryDependencies dependencies, std::set<std::string> without,
                 TreeRecoveryCallback callback) {
  std::make_shared<TreeRecovery>(std::move(dependencies), std::move(without), std::move(callback))
      ->Begin();
}

}  // namespace baton
