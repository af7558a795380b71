// The blobs that a commit under way may come to refer to: stored or being stored, with no pointer
// or result yet that could be seen. The collector takes none of them.
//
// A pin is taken before the blob is stored and let go when the outcome of the commit is known;
// where it stays unknown, the pin stays for as long as this leader leads (FLINK-22494).
//
// One a leadership, shared by the stores that commit and the collector. Threading: any thread.

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "store/blob_store.h"

namespace baton {

class BlobPins : public std::enable_shared_from_this<BlobPins> {
 public:
  using Blob = std::pair<BlobKind, std::string>;  // digest

  // Let go by its destruction.
  class Pin {
   public:
    Pin(std::shared_ptr<BlobPins> pins, Blob blob)
        : pins_(std::move(pins)), blob_(std::move(blob)) {}
    ~Pin() { pins_->Release(blob_); }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;

    // What became of the commit: after an unknown outcome it is never let go.
    void Settle(const absl::Status& outcome) {
      if (absl::IsUnknown(outcome)) pins_->Take(blob_);
    }

   private:
    const std::shared_ptr<BlobPins> pins_;
    const Blob blob_;
  };
  using PinPtr = std::shared_ptr<Pin>;

  PinPtr Take(BlobKind kind, const std::string& digest) {
    Take({kind, digest});
    return std::make_shared<Pin>(shared_from_this(), Blob{kind, digest});
  }

  // Between the two, everything that is pinned at any time is noted; EndRound returns it.
  void BeginRound() {
    std::lock_guard lock(mutex_);
    noted_.clear();
    for (const auto& [blob, count] : pinned_) noted_.insert(blob);
    in_round_ = true;
  }
  std::set<Blob> EndRound() {
    std::lock_guard lock(mutex_);
    in_round_ = false;
    return std::exchange(noted_, {});
  }

 private:
  void Take(const Blob& blob) {
    std::lock_guard lock(mutex_);
    ++pinned_[blob];
    if (in_round_) noted_.insert(blob);
  }
  void Release(const Blob& blob) {
    std::lock_guard lock(mutex_);
    auto it = pinned_.find(blob);
    if (--it->second == 0) pinned_.erase(it);
  }

  std::mutex mutex_;
  // Guarded by mutex_:
  std::map<Blob, size_t> pinned_;
  std::set<Blob> noted_;
  bool in_round_ = false;
};
using BlobPinsPtr = std::shared_ptr<BlobPins>;

}  // namespace baton
