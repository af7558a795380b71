// A LeaderFence that keeps confirmations and commits until the test lets them go, and loses the
// answers of commits.

#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "ha/leader_fence.h"

namespace baton {

class HeldFence final : public LeaderFence {
 public:
  explicit HeldFence(LeaderFencePtr fence) : fence_(std::move(fence)) {}
  Epoch epoch() const override { return fence_->epoch(); }
  void Commit(std::vector<CoordinationOp> ops, CommitCallback callback) override {
    ++commits;
    if (holds_commits) {
      held_commits.push_back(
          [this, ops = std::move(ops), callback = std::move(callback)]() mutable {
            fence_->Commit(std::move(ops), std::move(callback));
          });
      return;
    }
    fence_->Commit(std::move(ops),
                   [says = says, callback = std::move(callback)](absl::Status status) mutable {
                     callback(says ? *says : std::move(status));
                   });
  }
  void Confirm(CommitCallback callback) override {
    if (!holds) return fence_->Confirm(std::move(callback));
    held.push_back(std::move(callback));
  }
  TimePoint last_confirmation() const override { return fence_->last_confirmation(); }
  CoordinationClient& client() override { return fence_->client(); }
  const CoordinationPaths& paths() const override { return fence_->paths(); }

  bool holds = false;
  std::vector<CommitCallback> held;
  bool holds_commits = false;
  std::vector<absl::AnyInvocable<void()>> held_commits;
  int commits = 0;
  std::optional<absl::Status> says;  // of every commit, whatever became of it

 private:
  const LeaderFencePtr fence_;
};

}  // namespace baton
