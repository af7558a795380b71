// What the rounds show: how many elections their faults cost, and whether recovery gets slower.

#include <algorithm>
#include <map>
#include <set>

#include "cli/chaos/checker.h"
#include "cli/chaos/numbers.h"
#include "cli/chaos/plan.h"
#include "fmt/core.h"

namespace baton {
namespace {

// Of those rounds the times to agree, in the order of the run.
std::vector<double> AgreedTimes(const std::vector<ChaosRound>& rounds, size_t from, size_t until) {
  std::vector<double> times;
  for (size_t i = from; i < until; ++i) {
    if (rounds[i].agreed_ms >= 0) times.push_back(rounds[i].agreed_ms);
  }
  return times;
}

// How many elections its faults explain. Where several overlap, one may be done to whoever another
// one made the leader, or twice to the same: one more, unless none of them costs an election.
uint64_t Explained(const ChaosRound& round) {
  uint64_t epochs = 0;
  for (const std::string& kind : round.kinds) epochs += EpochsOf(kind);
  return epochs > 0 && round.kinds.size() > 1 ? epochs + 1 : epochs;
}

// A leader was lost at once, and nobody else: what a client waits then is what another one takes to
// lead and to accept.
bool MeasuresRecovery(const ChaosRound& round) {
  static const std::set<std::string> kinds = {"leader-kill", "leader-kill-restart", "leader-term",
                                              "leader-transfer", "leader-session-end"};
  return round.kinds.size() == 1 && round.left_out.empty() && kinds.contains(round.kinds[0]);
}

constexpr size_t kMeasured = 6;  // rounds: three early ones, three late ones

}  // namespace

Verdict JudgeElections(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"L4", "no more elections than the faults explain"};
  std::string spared;
  for (const ChaosRound& round : history.rounds) {
    ++verdict.checked;
    const uint64_t explained = Explained(round);
    if (round.epochs <= explained) continue;
    const std::string text =
        fmt::format("round {}: {} epochs began, not {}", round.number, round.epochs, explained);
    // A fault that costs no leader costs none on a busy machine either.
    if (explained == 0 || round.epochs > explained + limits.spare_epochs) {
      verdict.violations.push_back(text);
    } else {
      ++verdict.excused;
      spared += (spared.empty() ? "" : "; ") + text;
    }
  }
  const double bearable = 1 + limits.rounds_with_spare * static_cast<double>(verdict.checked);
  if (static_cast<double>(verdict.excused) > bearable) verdict.violations.push_back(spared);
  return verdict;
}

// A long history must not make recovery slow: the later half of a run against the earlier. By what
// clients waited where just the leader was lost, and by how long it took to agree after all else.
Verdict JudgeTrend(const ChaosHistory& history) {
  Verdict verdict{"L5", "recovery does not get slower as the history grows"};
  std::vector<double> gaps;
  for (const ChaosRound& round : history.rounds) {
    if (MeasuresRecovery(round)) gaps.push_back(round.gap_ms);
  }
  if (gaps.size() >= kMeasured) {
    verdict.checked = gaps.size();
    const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
    const double early = Quantile({gaps.begin(), middle}, 0.5);
    const double late = Quantile({middle, gaps.end()}, 0.5);
    if (late > 2 * early + 300) {
      verdict.violations.push_back(fmt::format(
          "the median gap of a lost leader went from {:.0f} to {:.0f} ms", early, late));
    }
  }
  const size_t rounds = history.rounds.size();
  if (rounds < 8) return verdict;  // too few to tell
  const double early = Quantile(AgreedTimes(history.rounds, 0, rounds / 2), 0.5);
  const double late = Quantile(AgreedTimes(history.rounds, rounds / 2, rounds), 0.5);
  if (late > 2 * early + 1000) {
    verdict.violations.push_back(
        fmt::format("the median time to agree went from {:.0f} to {:.0f} ms", early, late));
  }
  return verdict;
}

}  // namespace baton
