// What slow clients may cost together: bytes that wait for them, counted as they come. When they
// are too many, whoever has held some for the longest time is told to let go: an honest client
// takes milliseconds, so the oldest is the slowest.
//
// Threading: any thread. Shared by the sessions of one server.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace baton {

class ByteBudget : public std::enable_shared_from_this<ByteBudget> {
 public:
  // Called once, from any thread, without locks; what it held counts no more.
  using Evict = std::function<void()>;

  explicit ByteBudget(uint64_t limit) : limit_(limit) {}

  // What one session holds, from Take to its end.
  class Share {
   public:
    Share(std::shared_ptr<ByteBudget> budget, Evict evict);
    ~Share() { budget_->Remove(id_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // May evict others, or this share if it is the oldest. A share that is alone is never evicted.
    void Add(uint64_t bytes) { budget_->Add(id_, bytes); }

   private:
    const std::shared_ptr<ByteBudget> budget_;
    const uint64_t id_;
  };

  uint64_t used() const;

 private:
  struct Holder {
    uint64_t bytes = 0;
    Evict evict;
  };

  uint64_t Insert(Evict evict);
  void Add(uint64_t id, uint64_t bytes);
  void Remove(uint64_t id);

  const uint64_t limit_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  uint64_t used_ = 0;
  uint64_t last_id_ = 0;
  std::map<uint64_t, Holder> holders_;  // the oldest first
};

}  // namespace baton
