// The only way to write while leading: every commit is multi{check(epoch, version), …} (3.2), so
// that nothing an older leader does changes anything from the instant a newer epoch is committed
// (P3). A LeaderFence is handed out only with the grant; code without one cannot write.
//
// Commits are grouped: transactions that wait together share one multi, bounded in count and bytes,
// several multis in flight. If a group fails for a reason other than the epoch, each of its
// transactions is tried alone, so that one conflict never fails another's write (P7).
//
// Unknown outcomes are resolved here, not by the callers: the fence reads the nodes back and either
// finds its write or writes again; it never assumes. Transactions must therefore carry data that no
// other version has (a sequence number, say).
//
// Deposed: when the check fails, or the session is over, every pending and later commit ends with
// kAborted and on_deposed runs once.
//
// Threading: any thread may call; callbacks come on the coordination client's executor: bind them.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "base/ids.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"

namespace baton {

struct FenceLimits {
  size_t max_ops_per_multi = 100;
  size_t max_bytes_per_multi = 512 << 10;
  size_t max_multis_in_flight = 4;
  size_t max_waiting_transactions = 20'000;      // beyond: kResourceExhausted
  Duration max_wait = std::chrono::seconds(15);  // then kUnknown or kUnavailable (3.5: bounded)
};

class LeaderFence {
 public:
  using CommitCallback = absl::AnyInvocable<void(absl::Status)>;

  virtual ~LeaderFence() = default;

  virtual Epoch epoch() const = 0;

  // All of `ops` or none. kAborted: deposed. kAlreadyExists, kNotFound, kFailedPrecondition: an op
  // does not hold; nothing was changed. kUnavailable: nothing was changed. kUnknown: it waited for
  // max_wait and may have its effect yet.
  virtual void Commit(std::vector<CoordinationOp> ops, CommitCallback callback) = 0;

  // OK once a commit that *began after this call* has proved that this leader still leads (3.5,
  // 3.6 way 1). Costs nothing extra when commits are flowing.
  virtual void Confirm(CommitCallback callback) = 0;

  // When the newest confirmation began; a leader answers as such only while that is at most 3 s
  // ago.
  virtual TimePoint last_confirmation() const = 0;

  // Reads need no fence but belong to the same session.
  virtual CoordinationClient& client() = 0;
  virtual const CoordinationPaths& paths() const = 0;
};
using LeaderFencePtr = std::shared_ptr<LeaderFence>;

}  // namespace baton
