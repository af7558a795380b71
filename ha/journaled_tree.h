// The tree of an EmbeddedCoordinationServer and its journal: a change is told, and seen by anybody,
// only when it is on disk.
//
// Calls are steps in one queue. Changes that wait together are applied one after the other, each on
// what the ones before it left, and written to the journal as one record (group commit); while it
// is under way everything else waits, so nobody ever reads what could still be taken back. When the
// write fails, the whole group is taken back and its steps are tried one by one: each gets its own
// answer, and what needs no journal (a check, an ephemeral node) succeeds however full the disk is.
//
// Before anything is written after a failure, the nodes of the failed record are put back on disk
// as they were. Otherwise that record might come back at a restart, between others that were made
// as if it had never been.
//
// Threading: the server's executor, on which the callbacks come too, possibly within the call.
// Owned by the server; what waits when it goes is not answered.

#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "ha/journal.h"
#include "ha/znode_tree.h"

namespace baton {

class JournaledTree : public std::enable_shared_from_this<JournaledTree> {
 public:
  using ReadStep = absl::AnyInvocable<void(const ZnodeTree& tree)>;
  using ChangeDone = absl::AnyInvocable<void(const ZnodeTree::Outcome& outcome)>;

  // Without a journal nothing waits and nothing survives.
  JournaledTree(ExecutorPtr executor, JournalPtr journal, ZnodeTree tree);

  void Read(ReadStep step);
  // `ops` are valid (ValidateOps). The outcome's status may be the journal's: it had no effect.
  void Change(int64_t session, std::vector<CoordinationOp> ops, ChangeDone done);
  // Deletes the session's ephemeral nodes; cannot fail.
  void DropEphemerals(int64_t session, ChangeDone done);

 private:
  struct Step {
    ReadStep read;  // null: a change
    int64_t session = 0;
    bool drop_ephemerals = false;  // of the session, as they are when its turn comes
    std::vector<CoordinationOp> ops;
    ChangeDone done;
  };
  struct Applied {
    Step step;
    ZnodeTree::Outcome outcome;
  };

  void Enqueue(Step step);
  void Run();
  bool ApplyFront();
  ZnodeTree::Outcome Apply(const Step& step);
  void WriteGroup();
  void PutBackFailed();
  void OnWritten(const absl::Status& status);
  void FailGroup(const absl::Status& status, bool was_attempted);

  // Constant after construction.
  const ExecutorPtr executor_;
  const JournalPtr journal_;

  ZnodeTree tree_;  // as on disk, and the group's changes
  std::deque<Step> steps_;
  std::vector<Applied> group_;  // its record is being made or written
  JournalRecord record_;
  size_t record_bytes_ = 0;
  JournalRecord to_put_back_;  // what a failed record may have left on disk
  size_t singly_ = 0;          // so many of the next steps are tried alone
  bool running_ = false;
  bool writing_ = false;
  bool failing_ = false;  // logged
};

}  // namespace baton
