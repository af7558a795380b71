#include "rest/byte_budget.h"

#include <utility>
#include <vector>

namespace baton {

ByteBudget::Share::Share(std::shared_ptr<ByteBudget> budget, Evict evict)
    : budget_(std::move(budget)), id_(budget_->Insert(std::move(evict))) {}

uint64_t ByteBudget::used() const {
  std::lock_guard lock(mutex_);
  return used_;
}

uint64_t ByteBudget::Insert(Evict evict) {
  std::lock_guard lock(mutex_);
  holders_[++last_id_].evict = std::move(evict);
  return last_id_;
}

void ByteBudget::Add(uint64_t id, uint64_t bytes) {
  std::vector<Evict> evicted;
  {
    std::lock_guard lock(mutex_);
    auto holder = holders_.find(id);
    if (holder == holders_.end()) return;  // evicted, and does not know it yet
    holder->second.bytes += bytes;
    used_ += bytes;
    while (used_ > limit_ && holders_.size() > 1) {
      auto oldest = holders_.begin();
      used_ -= oldest->second.bytes;
      evicted.push_back(std::move(oldest->second.evict));
      holders_.erase(oldest);
    }
  }
  for (const Evict& evict : evicted) evict();
}

void ByteBudget::Remove(uint64_t id) {
  std::lock_guard lock(mutex_);
  auto holder = holders_.find(id);
  if (holder == holders_.end()) return;
  used_ -= holder->second.bytes;
  holders_.erase(holder);
}

}  // namespace baton
