// The rounds of a drill.

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/status.h"
#include "cli/drill/drill.h"
#include "cli/drill/epoch_watch.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kStartDeadline(60);

double Milliseconds(std::chrono::nanoseconds span) {
  return std::chrono::duration<double, std::milli>(span).count();
}

// By the clock that the tasks write their starts by.
int64_t WallNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string Line(int number, const DrillRound& round) {
  std::string line = fmt::format("round {}: {} {}, ", number, round.victim, round.done);
  if (round.new_epoch_ms >= 0) {
    line += fmt::format("epoch {} -> {} after {:.1f} ms, ", round.epoch_before, round.epoch_after,
                        round.new_epoch_ms);
  }
  if (round.recovery_ms >= 0) line += fmt::format("recovered after {:.1f} ms, ", round.recovery_ms);
  if (round.expected_restarts > 0) {
    line += fmt::format("{} tasks of it run again, ", round.expected_restarts);
  }
  return line + fmt::format("longest gap {:.1f} ms, {} errors, {} tasks restarted",
                            round.ack_gap_ms, round.client_errors, round.tasks_restarted);
}

}  // namespace

absl::Status Drill::RunRounds(DrillReport* report) {
  RestUntil(Clock::now() + options_.settle);
  for (int i = 0; i < options_.rounds; ++i) {
    if (auto status = RunRound(report); !status.ok()) {
      return At(fmt::format("round {}", i + 1), status);
    }
    progress_(Line(i + 1, report->rounds.back()));
    RestUntil(Clock::now() + options_.settle);
  }
  return absl::OkStatus();
}

absl::Status Drill::RunRound(DrillReport* report) {
  auto leader = client_->Leader();
  if (!leader.ok()) return leader.status();
  const int number = static_cast<int>(report->rounds.size());
  DrillRound& round = report->rounds.emplace_back();
  round.victim = target_->Victim(options_.fault, leader->value.replica, number);
  round.epoch_before = round.epoch_after = leader->value.epoch;
  long_starts_.Refresh();
  const uint64_t errors_before = log_.errors();
  const Repetitions before = JudgeRepetitions(long_starts_, losses_);
  const Clock::time_point from = Clock::now();
  absl::Status calm = DoFault(&round);
  if (calm.ok()) calm = WaitUntilCalm();
  round.ack_gap_ms = Milliseconds(log_.LongestGap(from, Clock::now()));
  round.client_errors = log_.errors() - errors_before;
  long_starts_.Refresh();
  const Repetitions after = JudgeRepetitions(long_starts_, losses_);
  round.tasks_restarted = after.unexpected - before.unexpected;
  round.expected_restarts = after.expected - before.expected;
  for (const std::string& error : log_.LastErrors(std::min<size_t>(3, round.client_errors))) {
    progress_("error " + error);
  }
  return calm;
}

absl::Status Drill::DoFault(DrillRound* round) {
  const FaultKind& kind = KindOf(options_.fault);
  std::optional<EpochWatch> watch;
  if (kind.effect == FaultEffect::kNewEpoch) {
    watch.emplace(target_->WatchUrls(round->victim), round->epoch_before);
  }
  const auto lost_before = LongTasksIn(target_->PlaceOf(round->victim));
  const Clock::time_point from = Clock::now();
  if (kind.fault == Fault::kWorker) losses_.push_back({target_->PlaceOf(round->victim), WallNs()});
  auto done = target_->Inject(kind.fault, round->victim);
  if (!done.ok()) return done.status();
  round->done = *done;
  switch (kind.effect) {
    case FaultEffect::kNewEpoch: {
      const absl::Status status = AwaitNewEpoch(&*watch, from, round);
      const absl::Status undone = target_->Undo(kind.fault, round->victim);
      return status.ok() ? undone : status;
    }
    case FaultEffect::kOutage:
      RestUntil(from + options_.outage);
      return EndOutage(round);
    case FaultEffect::kTasksAgain:
      if (auto status = target_->Undo(kind.fault, round->victim); !status.ok()) return status;
      return AwaitTasksAgain(from, lost_before, round);
  }
  return Internal("unknown effect");
}

absl::Status Drill::AwaitNewEpoch(EpochWatch* watch, Clock::time_point from, DrillRound* round) {
  const auto sighting = watch->Wait(from + options_.effect_deadline);
  if (!sighting) return DeadlineExceeded("no new epoch after {}: {}", round->victim, round->done);
  round->epoch_after = sighting->epoch;
  round->new_epoch_ms = Milliseconds(sighting->at - from);
  return absl::OkStatus();
}

absl::Status Drill::EndOutage(DrillRound* round) {
  const Clock::time_point end = Clock::now();
  if (auto status = target_->Undo(options_.fault, round->victim); !status.ok()) return status;
  std::optional<Clock::time_point> answered;
  WaitUntil([&] { return (answered = log_.FirstAcknowledgedAfter(end)).has_value(); },
            end + options_.effect_deadline, std::chrono::milliseconds(10));
  if (!answered) return DeadlineExceeded("no submission is acknowledged after the outage");
  round->recovery_ms = Milliseconds(*answered - end);
  if (auto leader = client_->Leader(); leader.ok()) round->epoch_after = leader->value.epoch;
  return absl::OkStatus();
}

absl::Status Drill::AwaitTasksAgain(Clock::time_point from, const std::vector<std::string>& lost,
                                    DrillRound* round) {
  const int64_t died_ns = losses_.back().at_ns;
  const auto runs_again = [&](const std::string& id) {
    return long_starts_.starts().at(id).back().at_ns > died_ns;
  };
  const bool all = WaitUntil(
      [&] {
        long_starts_.Refresh();
        return std::all_of(lost.begin(), lost.end(), runs_again);
      },
      from + options_.effect_deadline, std::chrono::milliseconds(2));
  if (!all) return DeadlineExceeded("not all tasks of {} run again", round->victim);
  round->recovery_ms = Milliseconds(Clock::now() - from);
  return absl::OkStatus();
}

std::vector<std::string> Drill::LongTasksIn(const std::string& place) {
  std::vector<std::string> ids;
  for (const auto& [id, starts] : long_starts_.starts()) {
    if (starts.back().place.starts_with(place + "/")) ids.push_back(id);
  }
  return ids;
}

absl::Status Drill::WaitUntilCalm() {
  if (auto status = target_->WaitWhole(); !status.ok()) return status;
  const size_t missing = WaitForStarts(kStartDeadline);
  if (missing == 0) return absl::OkStatus();
  return DeadlineExceeded("{} acknowledged jobs did not start", missing);
}

}  // namespace baton
