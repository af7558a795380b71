#include "ha/journaled_tree.h"

#include <utility>

#include "base/log.h"

namespace baton {
namespace {

constexpr size_t kMaxGroupSteps = 1'000;
constexpr size_t kMaxGroupBytes = 4 << 20;

bool IsPersistent(const ZnodeChange& change) {
  return (change.after ? *change.after : *change.before).stat.ephemeral_owner == 0;
}

std::optional<NodeData> OnDisk(absl::StatusOr<NodeData> node) {
  if (!node.ok() || node->stat.ephemeral_owner != 0) return std::nullopt;
  return *std::move(node);
}

bool NeedsJournal(const ZnodeTree::Outcome& outcome) {
  for (const ZnodeChange& change : outcome.changes) {
    if (IsPersistent(change)) return true;
  }
  return false;
}

}  // namespace

JournaledTree::JournaledTree(ExecutorPtr executor, JournalPtr journal, ZnodeTree tree)
    : executor_(std::move(executor)), journal_(std::move(journal)), tree_(std::move(tree)) {}

void JournaledTree::Read(ReadStep step) { Enqueue({.read = std::move(step)}); }

void JournaledTree::Change(int64_t session, std::vector<CoordinationOp> ops, ChangeDone done) {
  Enqueue({.session = session, .ops = std::move(ops), .done = std::move(done)});
}

void JournaledTree::DropEphemerals(int64_t session, ChangeDone done) {
  Enqueue({.session = session, .drop_ephemerals = true, .done = std::move(done)});
}

void JournaledTree::Enqueue(Step step) {
  steps_.push_back(std::move(step));
  Run();
}

// A callback may call back in here: its step waits for this loop.
void JournaledTree::Run() {
  if (writing_ || std::exchange(running_, true)) return;
  while (!steps_.empty() && ApplyFront()) {
  }
  running_ = false;
  if (!group_.empty()) WriteGroup();
}

// False: the group is complete, what follows waits for its write.
bool JournaledTree::ApplyFront() {
  const bool full = group_.size() >= kMaxGroupSteps || record_bytes_ >= kMaxGroupBytes ||
                    (singly_ > 0 && !group_.empty());
  if (full || (steps_.front().read && !group_.empty())) return false;
  Step step = std::move(steps_.front());
  steps_.pop_front();
  if (singly_ > 0) --singly_;
  if (step.read) {
    step.read(tree_);
    return true;
  }
  ZnodeTree::Outcome outcome = Apply(step);
  const bool needs_journal = journal_ && NeedsJournal(outcome);
  // Behind a change that is not on disk yet even a refusal says something of it.
  if (group_.empty() && !needs_journal) {
    step.done(outcome);
    return true;
  }
  for (const ZnodeChange& change : outcome.changes) {
    if (!IsPersistent(change)) continue;
    record_.nodes.emplace_back(change.path, change.after);
    record_bytes_ += change.path.size() + (change.after ? change.after->data.size() : 0);
  }
  group_.push_back({std::move(step), std::move(outcome)});
  return true;
}

ZnodeTree::Outcome JournaledTree::Apply(const Step& step) {
  if (!step.drop_ephemerals) return tree_.Apply(step.session, step.ops);
  std::vector<CoordinationOp> deletes;
  for (const std::string& path : tree_.EphemeralsOf(step.session)) {
    deletes.push_back(CoordinationOp::Delete(path, kAnyVersion));
  }
  return tree_.Apply(step.session, deletes);
}

void JournaledTree::WriteGroup() {
  writing_ = true;
  if (!to_put_back_.nodes.empty()) return PutBackFailed();
  record_.last_zxid = tree_.last_zxid();
  record_bytes_ = 0;
  journal_->Append(std::exchange(record_, {}),
                   BindTo(executor_, IfAlive(weak_from_this(),
                                             [](JournaledTree& self, const absl::Status& status) {
                                               self.OnWritten(status);
                                             })));
}

void JournaledTree::PutBackFailed() {
  to_put_back_.last_zxid = tree_.last_zxid();
  journal_->Append(to_put_back_,
                   BindTo(executor_, IfAlive(weak_from_this(),
                                             [](JournaledTree& self, const absl::Status& status) {
                                               if (!status.ok())
                                                 return self.FailGroup(status, false);
                                               self.to_put_back_ = {};
                                               self.WriteGroup();
                                             })));
}

void JournaledTree::OnWritten(const absl::Status& status) {
  if (!status.ok()) return FailGroup(status, /*was_attempted=*/true);
  writing_ = false;
  if (std::exchange(failing_, false)) log::Info("the journal is written again");
  running_ = true;  // the callbacks' own steps come behind the last of them
  for (Applied& applied : std::exchange(group_, {})) applied.step.done(applied.outcome);
  running_ = false;
  Run();
}

void JournaledTree::FailGroup(const absl::Status& status, bool was_attempted) {
  if (!std::exchange(failing_, true)) {
    log::Error("the journal cannot be written, changes are refused error=\"{}\"",
               status.ToString());
  }
  writing_ = false;
  std::vector<Applied> failed = std::exchange(group_, {});
  record_ = {};  // made, and not attempted while the last failure is being put back
  record_bytes_ = 0;
  for (auto applied = failed.rbegin(); applied != failed.rend(); ++applied) {
    tree_.Undo(applied->outcome.changes);
  }
  for (const Applied& applied : failed) {
    for (const ZnodeChange& change : applied.outcome.changes) {
      if (!was_attempted) break;
      to_put_back_.nodes.emplace_back(change.path, OnDisk(tree_.Get(change.path)));
    }
  }
  if (failed.size() == 1) {
    failed.front().step.done({{status, std::nullopt}, {}});
  } else {
    singly_ += failed.size();
    for (auto applied = failed.rbegin(); applied != failed.rend(); ++applied) {
      steps_.push_front(std::move(applied->step));
    }
  }
  Run();
}

}  // namespace baton
