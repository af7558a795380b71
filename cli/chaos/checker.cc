#include "cli/chaos/checker.h"

#include <algorithm>
#include <map>

#include "cli/chaos/numbers.h"
#include "fmt/core.h"

namespace baton {
namespace {

// Of a round's rounds, in the order of the run.
std::vector<double> AgreedTimes(const std::vector<ChaosRound>& rounds, size_t from, size_t until) {
  std::vector<double> times;
  for (size_t i = from; i < until; ++i) {
    if (rounds[i].agreed_ms >= 0) times.push_back(rounds[i].agreed_ms);
  }
  return times;
}

}  // namespace

std::vector<Verdict> JudgeChaos(const ChaosHistory& history, const ChaosLimits& limits) {
  return {JudgeAcknowledged(history),
          JudgeOneRun(history),
          JudgeEpochs(history),
          JudgeZombies(history, limits),
          JudgeSingleAttempt(history),
          JudgeInputs(history),
          JudgeCancelled(history, limits),
          JudgeBlobs(history),
          JudgeEnds(history),
          JudgeSlots(history),
          JudgeUninterrupted(history),
          JudgeAgreement(history, limits),
          JudgeProgress(history, limits),
          JudgeElections(history, limits),
          JudgeTrend(history),
          JudgeMix(history, limits)};
}

Verdict JudgeBlobs(const ChaosHistory& history) {
  Verdict verdict{"I8", "at the end every replica holds every live blob"};
  for (const auto& [replica, missing] : history.missing_blobs) {
    ++verdict.checked;
    if (missing == 0) continue;
    verdict.violations.push_back(fmt::format("{} lacks {} blobs", replica, missing));
  }
  return verdict;
}

Verdict JudgeSlots(const ChaosHistory& history) {
  Verdict verdict{"I10", "free and used slots are all slots, and at the end all are free"};
  ++verdict.checked;
  if (history.slots_total != history.slots_expected || history.slots_free != history.slots_total) {
    verdict.violations.push_back(fmt::format("{} of {} slots are free, there should be {}",
                                             history.slots_free, history.slots_total,
                                             history.slots_expected));
  }
  return verdict;
}

Verdict JudgeAgreement(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"L1", fmt::format("{:.0f} s after the last fault one replica leads, and all say "
                                    "so",
                                    limits.agreed_ms / 1000)};
  for (const ChaosRound& round : history.rounds) {
    ++verdict.checked;
    if (round.agreed_ms >= 0 && round.agreed_ms <= limits.agreed_ms) continue;
    verdict.violations.push_back(
        fmt::format("round {}: agreed after {:.0f} ms", round.number, round.agreed_ms));
  }
  return verdict;
}

Verdict JudgeProgress(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"L2", "every live job progresses and a new one runs to its end, by itself (L3)"};
  for (const ChaosRound& round : history.rounds) {
    ++verdict.checked;
    if (round.progress_ms < 0 || round.progress_ms > round.progress_limit_ms) {
      verdict.violations.push_back(
          fmt::format("round {}: a live job had not progressed after {:.0f} ms (took {:.0f})",
                      round.number, round.progress_limit_ms, round.progress_ms));
    }
    const double limit = std::max(limits.new_job_ms, round.progress_limit_ms);
    if (round.new_job_ms < 0 || round.new_job_ms > limit) {
      verdict.violations.push_back(
          fmt::format("round {}: a new job had not ended after {:.0f} ms (took {:.0f})",
                      round.number, limit, round.new_job_ms));
    }
  }
  return verdict;
}

Verdict JudgeElections(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"L4", fmt::format("at most {} elections a fault", limits.epochs_per_fault)};
  for (const ChaosRound& round : history.rounds) {
    ++verdict.checked;
    if (round.epochs <= limits.epochs_per_fault * round.kinds.size()) continue;
    verdict.violations.push_back(
        fmt::format("round {}: {} epochs began", round.number, round.epochs));
  }
  return verdict;
}

// A long history must not make recovery slow: the later half of a run against the earlier.
Verdict JudgeTrend(const ChaosHistory& history) {
  Verdict verdict{"L5", "recovery does not get slower as the history grows"};
  const size_t rounds = history.rounds.size();
  if (rounds < 8) return verdict;  // too few to tell
  verdict.checked = rounds;
  const double early = Quantile(AgreedTimes(history.rounds, 0, rounds / 2), 0.5);
  const double late = Quantile(AgreedTimes(history.rounds, rounds / 2, rounds), 0.5);
  if (late > 2 * early + 1000) {
    verdict.violations.push_back(
        fmt::format("the median time to agree went from {:.0f} to {:.0f} ms", early, late));
  }
  return verdict;
}

// A run proves nothing of a fault that it names and never does.
Verdict JudgeMix(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"mix", "every kind of fault that was drawn is done, if not each time"};
  struct Draws {
    uint64_t all = 0;
    uint64_t in_vain = 0;
  };
  std::map<std::string, Draws> kinds;
  for (const ChaosRound& round : history.rounds) {
    for (const std::string& kind : round.kinds) ++kinds[kind].all;
    for (const std::string& kind : round.left_out) ++kinds[kind].in_vain;
  }
  for (const auto& [kind, draws] : kinds) {
    ++verdict.checked;
    if (draws.in_vain < draws.all || draws.all < limits.drawn_in_vain) continue;
    verdict.violations.push_back(
        fmt::format("{} was drawn {} times and never done", kind, draws.all));
  }
  return verdict;
}

}  // namespace baton
