#include "store/journaling_fence.h"

#include <utility>

namespace baton {
namespace {

class JournalingFence final : public LeaderFence {
 public:
  JournalingFence(LeaderFencePtr fence, RecordJournalPtr journal)
      : fence_(std::move(fence)), journal_(std::move(journal)) {}

  Epoch epoch() const override { return fence_->epoch(); }

  void Commit(std::vector<CoordinationOp> ops, CommitCallback callback) override {
    std::vector<CoordinationOp> copy = ops;
    fence_->Commit(std::move(ops), [journal = journal_, ops = std::move(copy),
                                    callback = std::move(callback)](absl::Status status) mutable {
      if (status.ok()) {
        journal->executor()->Post([journal, ops = std::move(ops)] { journal->Apply(ops); });
      }
      callback(std::move(status));
    });
  }

  void Confirm(CommitCallback callback) override { fence_->Confirm(std::move(callback)); }
  TimePoint last_confirmation() const override { return fence_->last_confirmation(); }
  CoordinationClient& client() override { return fence_->client(); }
  const CoordinationPaths& paths() const override { return fence_->paths(); }

 private:
  const LeaderFencePtr fence_;
  const RecordJournalPtr journal_;
};

}  // namespace

LeaderFencePtr NewJournalingFence(LeaderFencePtr fence, RecordJournalPtr journal) {
  return std::make_shared<JournalingFence>(std::move(fence), std::move(journal));
}

}  // namespace baton
