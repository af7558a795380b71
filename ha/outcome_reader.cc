#include "ha/outcome_reader.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#include "base/status.h"

namespace baton {
namespace {

using Type = CoordinationOp::Type;

// The reads of one question; the callbacks of the client hold it, so it must not hold the client: a
// client that is never answered again (its process is killed in a simulation) would keep itself.
class OutcomeReading : public std::enable_shared_from_this<OutcomeReading> {
 public:
  OutcomeReading(const CoordinationClientPtr& client, std::vector<CoordinationOp> ops,
                 OutcomesCallback callback)
      : client_(client),
        ops_(std::move(ops)),
        callback_(std::move(callback)),
        outcomes_(ops_.size(), CommitOutcome::kNotApplied),
        missing_(ops_.size()) {}

  void Begin() {
    auto client = client_.lock();
    if (!client) return Finish(Aborted("the session is over"));
    client->Sync(ops_.front().path, [self = shared_from_this()](absl::Status status) {
      status.ok() ? self->ReadAll() : self->Finish(std::move(status));
    });
  }

 private:
  void ReadAll() {
    auto client = client_.lock();
    if (!client) return Finish(Aborted("the session is over"));
    for (size_t i = 0; i < ops_.size(); ++i) {
      client->Get(ops_[i].path, nullptr,
                  [self = shared_from_this(), i](absl::StatusOr<NodeData> found) {
                    self->OnRead(i, found);
                  });
    }
  }

  void OnRead(size_t index, const absl::StatusOr<NodeData>& found) {
    if (!found.ok() && found.status().code() != absl::StatusCode::kNotFound) {
      return Finish(found.status());
    }
    outcomes_[index] = JudgeOutcome(ops_[index], found);
    if (--missing_ == 0) Finish(absl::OkStatus());
  }

  void Finish(absl::Status status) {
    if (!callback_) return;
    auto callback = std::move(callback_);
    callback_ = nullptr;
    if (!status.ok()) return callback(std::move(status));
    callback(std::move(outcomes_));
  }

  const std::weak_ptr<CoordinationClient> client_;
  const std::vector<CoordinationOp> ops_;
  OutcomesCallback callback_;
  std::vector<CommitOutcome> outcomes_;
  size_t missing_;
};

}  // namespace

const CoordinationOp* DecisiveOp(const std::vector<CoordinationOp>& ops) {
  // A node that is gone may have been gone before; data that nobody else writes is better evidence.
  const auto writes = [](const auto& op) {
    return op.type == Type::kCreate || op.type == Type::kSet;
  };
  auto found = std::find_if(ops.begin(), ops.end(), writes);
  if (found == ops.end()) {
    found = std::find_if(ops.begin(), ops.end(),
                         [](const auto& op) { return op.type == Type::kDelete; });
  }
  return found == ops.end() ? nullptr : &*found;
}

CommitOutcome JudgeOutcome(const CoordinationOp& op, const absl::StatusOr<NodeData>& found) {
  const bool applied =
      op.type == Type::kDelete ? !found.ok() : found.ok() && found->data == op.data;
  return applied ? CommitOutcome::kApplied : CommitOutcome::kNotApplied;
}

void ReadOutcomes(CoordinationClientPtr client, std::vector<CoordinationOp> ops,
                  OutcomesCallback callback) {
  assert(!ops.empty());
  std::make_shared<OutcomeReading>(client, std::move(ops), std::move(callback))->Begin();
}

}  // namespace baton
