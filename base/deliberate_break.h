// Rules of the protocols that the simulator breaks on purpose, one at a time, to see that it would
// notice: a checker that has never caught anything proves nothing.
//
// Each break is one condition at the line that carries the rule. None is on in a daemon: nothing
// but the setter below turns one on, and only simulations call it. Turned off, a rule costs one
// relaxed load (docs/decisions/0024).

#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace baton {

enum class Break : uint8_t {
  kNone,
  // ha/
  kCommitsUnfenced,
  kUnknownCommitIsSuccess,
  kUnknownCommitIsFailure,
  kElectionsUnconditional,
  kEpochNumberRepeats,
  kNonMembersContend,
  kLeaseAnswersForgotten,
  kGrantAndRevokeReordered,
  kSilenceWithoutMajority,
  // store/
  kOneCopySuffices,
  kDigestsUnverified,
  kEndedPointersKept,
  kEndedIdsRunAgain,
  kCollectsPinned,
  // dispatcher/
  kAcknowledgesBeforeCommit,
  kCancelsBeforeCommit,
  kCancelsForgotten,
  kReportsConfirmedBeforeCommit,
  kInputsNotAwaited,
  kNothingAdopted,
  kRosterNotAwaited,
  kRosterWrittenAfterDeployment,
  kBusyWorkersDelisted,
  kNewGuardianNotEnlisted,
  kClosedLinkIsLoss,
  kLeaseWaitedByHalf,
  kLeaseMarginOmitted,
  kGuardianGraceOmitted,
  kLossUnconfirmed,
  kHeartbeatsUnconfirmed,
  kOrdersUnconfirmed,
  kOvertakenRegistrationsTaken,
  kMembersBeforeWorkersAsk,
  kSlotsLeak,
  // taskmanager/
  kLeaseFromAnswer,
  kSilentMembersDoNotLead,
  kEndedRegistrationsObeyed,
  kReportsForgotten,
  // rest/
  kForwardedWithoutId,
};

struct BreakDescription {
  Break which;
  std::string_view name;     // in lower case with dashes: what one says to the simulator
  std::string_view promise;  // P1 to P8 (docs/failure-model.md)
  std::string_view what;     // happens instead of the rule
};

// Every break but kNone.
std::span<const BreakDescription> Breaks();
std::optional<Break> FindBreak(std::string_view name);

namespace internal {
inline std::atomic<Break> deliberate_break{Break::kNone};
}

// Simulations only, which are one thread.
inline void BreakDeliberately(Break which) { internal::deliberate_break = which; }

inline bool Broken(Break which) {
  return internal::deliberate_break.load(std::memory_order_relaxed) == which;
}

}  // namespace baton
