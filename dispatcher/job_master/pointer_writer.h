// Keeps a job's pointer in the store up to date: coalesced, at most one update in flight, at least
// 50 ms apart unless somebody waits for it (docs/protocols.md, 4).
//
// Lives on the executor of the leader process, owned by the job's JobMaster.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "store/records.pb.h"

namespace baton {

class PointerWriter : public std::enable_shared_from_this<PointerWriter> {
 public:
  using Commit = std::function<void(pb::JobPointer, absl::AnyInvocable<void(absl::Status)>)>;
  using Build = std::function<pb::JobPointer()>;
  using Durable = absl::AnyInvocable<void()>;
  using Refused = absl::AnyInvocable<void(const absl::Status&)>;
  enum class Urgency { kCoalesce, kNow };

  // `commit` may call back on any thread. `build` returns the pointer as it should be now.
  PointerWriter(ExecutorPtr executor, Commit commit, Build build);

  // `durable` runs once a pointer that was built after this call is durable. It never runs if the
  // epoch or the job ends first. Failures are retried for as long as this leader leads, ever more
  // slowly where the store refuses for good (the tree is damaged) or has had no room for 5 s (too
  // much waits, a disk is full, the pointer is too large): then whoever gave a `refused` hears that
  // instead, and is done with, unless an earlier commit of
  // unknown outcome contained what they wait for: the next leader may read it (P6). No pointer is
  // being written while those are told, so that what they take back is in none.
  void Write(Urgency urgency, Durable durable, Refused refused = nullptr);

  // The job's result is about to replace the pointer: nothing more is written.
  void Stop();

 private:
  struct Waiter {
    Durable durable;
    Refused refused;               // null: it waits for as long as it takes
    bool perhaps_durable = false;  // a commit of unknown outcome contained it
  };

  bool MayPassSoon(const absl::Status& status);
  void TellRefused(const absl::Status& why);
  void Schedule(Duration delay);
  void Start();
  void OnCommitted(absl::Status status);

  const ExecutorPtr executor_;
  const Commit commit_;
  const Build build_;
  std::vector<Waiter> waiting_;     // for the next commit
  std::vector<Waiter> committing_;  // for the one in flight
  Duration retry_delay_;
  std::optional<TimePoint> crowded_since_;  // every commit since has found no room
  bool dirty_ = false;
  bool urgent_ = false;
  bool in_flight_ = false;
  bool stopped_ = false;
  TimerId timer_ = kNoTimer;
  TimePoint last_start_;
};

}  // namespace baton
