// The LeaderFence of one epoch: a queue of commits, the multis in flight, and what became of them.
//
// A commit is waiting (CommitQueue), in flight (a Group), or unresolved (sent, and the answer
// lost), until it is answered; a confirmation waits or is in flight. Answered once, whatever comes
// later.
//
// Lives on the executor of its CoordinationClient. The election holds it until it closes it, so
// that nothing accepted goes unanswered; Close or being deposed ends it.

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "ha/commit_queue.h"
#include "ha/managed_fence.h"
#include "ha/outcome_reader.h"

namespace baton {

class Fence final : public ManagedFence, public std::enable_shared_from_this<Fence> {
 public:
  Fence(Dependencies dependencies, const FenceGrant& grant)
      : client_(std::move(dependencies.client)),
        executor_(std::move(dependencies.executor)),
        paths_(std::move(dependencies.paths)),
        limits_(dependencies.limits),
        epoch_(grant.epoch),
        epoch_version_(grant.epoch_version),
        last_confirmation_(grant.began),
        on_deposed_(std::move(dependencies.on_deposed)),
        queue_(limits_) {}

  Epoch epoch() const override { return epoch_; }
  TimePoint last_confirmation() const override { return last_confirmation_; }
  CoordinationClient& client() override { return *client_; }
  const CoordinationPaths& paths() const override { return paths_; }

  void Commit(std::vector<CoordinationOp> ops, CommitCallback callback) override;
  void Confirm(CommitCallback callback) override;
  void Pause() override { paused_ = true; }
  void Resume() override;
  void Drain(absl::AnyInvocable<void()> done) override;
  void Close(const absl::Status& why) override;

 private:
  struct Confirmation {
    CommitCallback callback;
    TimePoint deadline;
  };
  // One multi on its way.
  struct Group {
    std::vector<TransactionPtr> transactions;
    std::vector<Confirmation> confirmations;
    TimePoint began;
  };

  // fence.cc: the way of a commit.
  void Accept(std::vector<CoordinationOp> ops, CommitCallback callback);
  absl::Status Admit(const std::vector<CoordinationOp>& ops, size_t bytes) const;
  void AcceptConfirm(CommitCallback callback);

  void SchedulePump();
  void Pump();
  bool MayBegin() const;
  CoordinationOp EpochCheck() const;  // the first op of every multi
  void BeginMulti(std::vector<TransactionPtr> transactions);

  void OnMultiDone(uint64_t id, MultiResult result);
  static bool EpochIsOver(const Group& group, const MultiResult& result);
  void OnCommitted(Group group);
  void OnNothingDone(Group group);
  void OnUnknown(Group group);
  void OnConflict(Group group, const MultiResult& result);
  static std::optional<size_t> CulpritOf(const Group& group, std::optional<size_t> failed_op);
  static void Answer(Transaction& transaction, absl::Status status);
  void ReturnConfirmations(std::vector<Confirmation> confirmations);

  // fence_endings.cc: lost answers, deadlines, and the end.
  void ResolveUnknown();
  void OnOutcomes(const std::vector<TransactionPtr>& asked,
                  absl::StatusOr<std::vector<CommitOutcome>> outcomes);

  void Depose(const absl::Status& why);
  void AbortAll();
  void ArmTick();
  void OnTick();
  void AnswerExpired();
  bool HasUnansweredCommit() const;
  void FinishDrain();

  // Constant after construction.
  const CoordinationClientPtr client_;
  const ExecutorPtr executor_;
  const CoordinationPaths paths_;
  const FenceLimits limits_;
  const Epoch epoch_;
  const int32_t epoch_version_;

  // Any thread.
  std::atomic<TimePoint> last_confirmation_;

  // On the executor.
  std::function<void(const absl::Status&)> on_deposed_;
  CommitQueue queue_;
  std::vector<Confirmation> confirmations_;
  std::map<uint64_t, Group> in_flight_;
  uint64_t last_multi_ = 0;
  std::vector<TransactionPtr> unresolved_;  // of unknown outcome; their paths stay busy
  bool resolving_ = false;
  bool paused_ = false;
  bool stalled_ = false;  // the client refused to send; until the next tick or Resume
  bool closed_ = false;
  absl::Status close_reason_;
  bool draining_ = false;
  absl::AnyInvocable<void()> on_drained_;
  bool pump_posted_ = false;
  bool tick_armed_ = false;
};

}  // namespace baton
