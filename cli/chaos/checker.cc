#include "cli/chaos/checker.h"

#include <algorithm>
#include <map>

#include "fmt/core.h"

namespace baton {
namespace {

std::vector<Verdict> JudgeAll(const ChaosHistory& history, const ChaosLimits& limits) {
  return {JudgeAcknowledged(history),
          JudgeOneRun(history, limits),
          JudgeEpochs(history),
          JudgeZombies(history, limits),
          JudgeSingleAttempt(history),
          JudgeInputs(history, limits),
          JudgeCancelled(history, limits),
          JudgeFinal(history),
          JudgeBlobs(history),
          JudgeEnds(history),
          JudgeSlots(history),
          JudgeUninterrupted(history, limits),
          JudgeAgreement(history, limits),
          JudgeProgress(history, limits),
          JudgeElections(history, limits),
          JudgeTrend(history),
          JudgeMix(history, limits)};
}

}  // namespace

std::vector<Verdict> JudgeChaos(const ChaosHistory& history, const ChaosLimits& limits) {
  std::vector<Verdict> verdicts = JudgeAll(history, limits);
  if (history.rounds.size() < limits.rounds_that_prove) return verdicts;
  for (Verdict& verdict : verdicts) {
    // Only L5 may be without anything: the faults that it measures came too seldom.
    if (verdict.checked > 0 || verdict.name == "L5") continue;
    verdict.violations.push_back("nothing was looked at: the run proves nothing here");
  }
  return verdicts;
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
