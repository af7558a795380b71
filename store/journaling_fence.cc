#include "store/journaling_fence.h"

#include <atomic>
#include <memory>
#include <utility>

#include "base/status.h"
#include "ha/znode_path.h"

namespace baton {
namespace {

// The room that one commit takes, from its call until the journal has it, or will not get it.
class Room {
 public:
  using Bytes = std::shared_ptr<std::atomic<size_t>>;

  // Null: there is none.
  static std::unique_ptr<Room> Take(const Bytes& taken, size_t bytes, size_t limit) {
    if (taken->fetch_add(bytes) + bytes <= limit) return std::make_unique<Room>(taken, bytes);
    *taken -= bytes;
    return nullptr;
  }

  Room(Bytes taken, size_t bytes) : taken_(std::move(taken)), bytes_(bytes) {}
  ~Room() { *taken_ -= bytes_; }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

 private:
  const Bytes taken_;
  const size_t bytes_;
};

class JournalingFence final : public LeaderFence {
 public:
  JournalingFence(LeaderFencePtr fence, RecordJournalPtr journal, size_t max_waiting_bytes)
      : fence_(std::move(fence)),
        journal_(std::move(journal)),
        max_waiting_bytes_(max_waiting_bytes) {}

  Epoch epoch() const override { return fence_->epoch(); }

  void Commit(std::vector<CoordinationOp> ops, CommitCallback callback) override {
    auto room = Room::Take(waiting_bytes_, RequestBytes(ops), max_waiting_bytes_);
    if (!room) {
      return callback(ResourceExhausted(
          "{} bytes of commits wait for the coordination service or for this replica's journal",
          waiting_bytes_->load()));
    }
    std::vector<CoordinationOp> copy = ops;
    fence_->Commit(
        std::move(ops), [journal = journal_, ops = std::move(copy), room = std::move(room),
                         callback = std::move(callback)](absl::Status status) mutable {
          if (status.ok()) {
            journal->executor()->Post(
                [journal, ops = std::move(ops), room = std::move(room)] { journal->Apply(ops); });
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
  const size_t max_waiting_bytes_;
  const Room::Bytes waiting_bytes_ = std::make_shared<std::atomic<size_t>>(0);  // any thread
};

}  // namespace

LeaderFencePtr NewJournalingFence(LeaderFencePtr fence, RecordJournalPtr journal,
                                  size_t max_waiting_bytes) {
  return std::make_shared<JournalingFence>(std::move(fence), std::move(journal), max_waiting_bytes);
}

}  // namespace baton
