#include "base/deliberate_break.h"

#include <algorithm>

namespace baton {
namespace {

constexpr BreakDescription kBreaks[] = {
    {Break::kCommitsUnfenced, "commits-unfenced", "P3",
     "a commit checks that there is an epoch, not that it is its own"},
    {Break::kUnknownCommitIsSuccess, "unknown-commit-is-success", "P1",
     "a commit whose answer was lost counts as done"},
    {Break::kUnknownCommitIsFailure, "unknown-commit-is-failure", "P1",
     "a commit whose answer was lost counts as refused"},
    {Break::kElectionsUnconditional, "elections-unconditional", "P3",
     "a candidate wins although the epoch is no longer the one that it read"},
    {Break::kEpochNumberRepeats, "epoch-number-repeats", "P3",
     "a new leader leads under the number of the last epoch"},
    {Break::kNonMembersContend, "non-members-contend", "P4",
     "a replica that is no member contends"},
    {Break::kLeaseAnswersForgotten, "lease-answers-forgotten", "P4",
     "a paused leader renews a lease (way 2) and does not count it when it leads again"},
    {Break::kGrantAndRevokeReordered, "grant-and-revoke-reordered", "P5",
     "a replica hears that it leads again before it hears that its last epoch is over"},
    {Break::kSilenceWithoutMajority, "silence-without-majority", "P5",
     "a leader is replaced as silent although only one replica does not hear it"},
    {Break::kOneCopySuffices, "one-copy-suffices", "P1",
     "a pointer is committed when one disk has the graph"},
    {Break::kDigestsUnverified, "digests-unverified", "P7",
     "a damaged copy of a blob is taken for the blob"},
    {Break::kEndedPointersKept, "ended-pointers-kept", "P6",
     "the pointer of a job that ends is left where it is"},
    {Break::kEndedIdsRunAgain, "ended-ids-run-again", "P2",
     "a job id whose result is kept is taken for new"},
    {Break::kCollectsPinned, "collects-pinned", "P1",
     "a blob is collected at once although the commit of its pointer is under way"},
    {Break::kAcknowledgesBeforeCommit, "acknowledges-before-commit", "P1",
     "a submission is answered before anything of it is stored"},
    {Break::kCancelsBeforeCommit, "cancels-before-commit", "P6",
     "a cancellation is answered before it is durable"},
    {Break::kCancelsForgotten, "cancels-forgotten", "P6",
     "a job that was being cancelled is recovered as one that runs"},
    {Break::kReportsConfirmedBeforeCommit, "reports-confirmed-before-commit", "P4",
     "a final report is confirmed before the progress that contains it is durable"},
    {Break::kInputsNotAwaited, "inputs-not-awaited", "P6",
     "a subtask starts although a pointwise input of it has not finished"},
    {Break::kNothingAdopted, "nothing-adopted", "P5",
     "a recovered job starts all anew, whatever the TaskManagers still run"},
    {Break::kRosterNotAwaited, "roster-not-awaited", "P4",
     "a new leader deploys while a TaskManager of the roster is neither heard nor lost"},
    {Break::kRosterWrittenAfterDeployment, "roster-written-after-deployment", "P4",
     "tasks are deployed before their TaskManager stands on the roster"},
    {Break::kBusyWorkersDelisted, "busy-workers-delisted", "P4",
     "a TaskManager is taken off the roster while it holds tasks"},
    {Break::kNewGuardianNotEnlisted, "new-guardian-not-enlisted", "P4",
     "the roster goes on naming a guardian that is dead"},
    {Break::kClosedLinkIsLoss, "closed-link-is-loss", "P4",
     "a TaskManager whose link closes counts as lost"},
    {Break::kLeaseWaitedByHalf, "lease-waited-by-half", "P4",
     "a TaskManager counts as lost after half its lease"},
    {Break::kLeaseMarginOmitted, "lease-margin-omitted", "P4",
     "a lease is waited for as if all clocks ran alike"},
    {Break::kGuardianGraceOmitted, "guardian-grace-omitted", "P4",
     "the tasks of a dead guardian count as dead with it at once"},
    {Break::kLossUnconfirmed, "loss-unconfirmed", "P4",
     "a leader counts a TaskManager as lost without confirming itself after the wait"},
    {Break::kHeartbeatsUnconfirmed, "heartbeats-unconfirmed", "P4",
     "registrations and heartbeats are answered without a confirmation that began after them"},
    {Break::kOrdersUnconfirmed, "orders-unconfirmed", "P3",
     "a leader that has not confirmed itself of late deploys and cancels"},
    {Break::kOvertakenRegistrationsTaken, "overtaken-registrations-taken", "P4",
     "a registration that comes after a later one is taken for the present one"},
    {Break::kMembersBeforeWorkersAsk, "members-before-workers-ask", "P4",
     "a replica becomes a member before every TaskManager asks it"},
    {Break::kSlotsLeak, "slots-leak", "P7", "the slot of a lost attempt is never free again"},
    {Break::kLeaseFromAnswer, "lease-from-answer", "P4",
     "a lease is counted from the arrival of the answer, not from the request"},
    {Break::kSilentMembersDoNotLead, "silent-members-do-not-lead", "P4",
     "a member that does not answer counts as one that does not lead (way 2)"},
    {Break::kEndedRegistrationsObeyed, "ended-registrations-obeyed", "P4",
     "a deployment is obeyed whatever registration it belongs to"},
    {Break::kReportsForgotten, "reports-forgotten", "P4",
     "a TaskManager forgets a final report as soon as it is sent"},
    {Break::kForwardedWithoutId, "forwarded-without-id", "P2",
     "a submission is forwarded without the id that the first replica gave it"},
};

}  // namespace

std::span<const BreakDescription> Breaks() { return kBreaks; }

std::optional<Break> FindBreak(std::string_view name) {
  const auto found = std::ranges::find(kBreaks, name, &BreakDescription::name);
  if (found == std::end(kBreaks)) return std::nullopt;
  return found->which;
}

}  // namespace baton
