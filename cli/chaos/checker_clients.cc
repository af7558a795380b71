// What the clients' records prove, against the tasks' and the cluster's last word.

#include <algorithm>
#include <map>
#include <set>

#include "cli/chaos/checker.h"
#include "fmt/core.h"

namespace baton {
namespace {

// When a client first held an acknowledgement of that kind; by job.
std::map<std::string, int64_t> Acknowledged(const ChaosHistory& history, RequestKind kind) {
  std::map<std::string, int64_t> jobs;
  for (const ClientRequest& request : history.requests) {
    if (request.kind != kind || !request.Acknowledged()) continue;
    const auto [known, is_new] = jobs.try_emplace(request.job, request.answered_ns);
    if (!is_new) known->second = std::min(known->second, request.answered_ns);
  }
  return jobs;
}

std::string StateOf(const ChaosHistory& history, const std::string& job) {
  const auto found = history.states.find(job);
  return found == history.states.end() ? "" : found->second;
}

// Those subtasks of which some run did all its work.
std::set<SubtaskName> Finished(const ChaosHistory& history) {
  std::set<SubtaskName> names;
  for (const TaskRun& run : history.runs) {
    if (run.end == TaskEnd::kFinished) names.insert(run.name);
  }
  return names;
}

// The faults of a round may delay what a client was promised: the promise counts from their end.
int64_t Undisturbed(const ChaosHistory& history, int64_t from_ns, int64_t span_ns) {
  int64_t start = from_ns;
  for (const ChaosRound& round : history.rounds) {  // in the order of time
    if (round.from_ns <= start + span_ns && round.healed_ns > start) start = round.healed_ns;
  }
  return start + span_ns;
}

}  // namespace

Verdict JudgeAcknowledged(const ChaosHistory& history) {
  Verdict verdict{"I1", "every acknowledged job is there, and what is FINISHED did run"};
  const std::set<SubtaskName> finished = Finished(history);
  for (const auto& [job, acknowledged_ns] : Acknowledged(history, RequestKind::kSubmit)) {
    ++verdict.checked;
    const std::string state = StateOf(history, job);
    if (state.empty()) {
      verdict.violations.push_back(
          fmt::format("{} was acknowledged at {}, and is lost", job, acknowledged_ns));
    }
    if (state != "FINISHED" || !history.jobs.contains(job)) continue;
    for (const PlannedVertex& vertex : history.jobs.at(job).vertices) {
      for (uint32_t i = 0; i < vertex.parallelism; ++i) {
        if (finished.contains({job, vertex.id, i})) continue;
        verdict.violations.push_back(
            fmt::format("{} is FINISHED, but {}/{} never ended", job, vertex.id, i));
      }
    }
  }
  return verdict;
}

Verdict JudgeEnds(const ChaosHistory& history) {
  Verdict verdict{"I9", "every acknowledged job ends as it should; one that fails harms no other"};
  const auto cancelled = Acknowledged(history, RequestKind::kCancel);
  for (const auto& [job, acknowledged_ns] : Acknowledged(history, RequestKind::kSubmit)) {
    const auto planned = history.jobs.find(job);
    const std::string state = StateOf(history, job);
    if (planned == history.jobs.end() || state.empty()) continue;  // I1's
    ++verdict.checked;
    std::string wanted = "FINISHED";
    if (planned->second.kind == JobKind::kFailing) wanted = "FAILED";
    if (planned->second.kind == JobKind::kCancelled || planned->second.kind == JobKind::kLong ||
        cancelled.contains(job)) {
      wanted = "CANCELED";
    }
    if (state == wanted) continue;
    verdict.violations.push_back(fmt::format("{} is {}, not {}", job, state, wanted));
  }
  return verdict;
}

Verdict JudgeCancelled(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"I7", fmt::format("{:.0f} s after a cancellation no task of the job lives, for "
                                    "ever",
                                    limits.cancelled_gone_ms / 1000)};
  const auto cancelled = Acknowledged(history, RequestKind::kCancel);
  verdict.checked = cancelled.size();
  const auto span = static_cast<int64_t>(limits.cancelled_gone_ms * 1e6);
  for (const TaskRun& run : history.runs) {
    const auto found = cancelled.find(run.name.job);
    if (found == cancelled.end() || run.alive_ns <= found->second + span) continue;
    const int64_t deadline = Undisturbed(history, found->second, span);
    if (run.alive_ns <= deadline) {
      ++verdict.excused;
      continue;
    }
    verdict.violations.push_back(fmt::format(
        "{}/{}/{} (pid {}) lived at {}, {:.1f} s after its cancellation was acknowledged",
        run.name.job, run.name.vertex, run.name.subtask, run.pid, run.alive_ns,
        static_cast<double>(run.alive_ns - found->second) / 1e9));
  }
  return verdict;
}

Verdict JudgeEpochs(const ChaosHistory& history) {
  Verdict verdict{"I3",
                  "epochs never go back, each has one leader, and none commits after the "
                  "next began"};
  std::map<uint64_t, std::string> leaders;
  std::map<std::string, uint64_t> newest;  // by the replica that was asked
  for (const EpochSighting& sighting : history.sightings) {
    ++verdict.checked;
    const auto [leader, is_new] = leaders.try_emplace(sighting.epoch, sighting.leader);
    if (leader->second != sighting.leader) {
      verdict.violations.push_back(fmt::format("epoch {} is led by {} and by {}", sighting.epoch,
                                               leader->second, sighting.leader));
    }
    uint64_t& known = newest[sighting.asked];
    if (sighting.epoch < known) {
      verdict.violations.push_back(fmt::format("{} went back from epoch {} to {} at {}",
                                               sighting.asked, known, sighting.epoch,
                                               sighting.at_ns));
    }
    known = std::max(known, sighting.epoch);
  }
  // Accepted (202) by the leader of an epoch, although the client sent it after it had held an
  // acceptance of a later one: a commit of an older leader.
  std::vector<const ClientRequest*> accepted;
  for (const ClientRequest& request : history.requests) {
    if (request.kind == RequestKind::kSubmit && request.status == 202 && request.epoch > 0) {
      accepted.push_back(&request);
    }
  }
  std::vector<const ClientRequest*> by_answer = accepted;
  std::sort(accepted.begin(), accepted.end(),
            [](const auto* a, const auto* b) { return a->sent_ns < b->sent_ns; });
  std::sort(by_answer.begin(), by_answer.end(),
            [](const auto* a, const auto* b) { return a->answered_ns < b->answered_ns; });
  size_t answered = 0;
  uint64_t held = 0;  // the newest epoch in an answer so far
  for (const ClientRequest* request : accepted) {
    ++verdict.checked;
    for (; answered < by_answer.size() && by_answer[answered]->answered_ns < request->sent_ns;
         ++answered) {
      held = std::max(held, by_answer[answered]->epoch);
    }
    if (request->epoch >= held) continue;
    verdict.violations.push_back(fmt::format("{} was sent at {} and accepted in epoch {}, after {}",
                                             request->job, request->sent_ns, request->epoch, held));
  }
  return verdict;
}

}  // namespace baton
