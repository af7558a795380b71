// What the clients' records prove, against the tasks' and the cluster's last word.

#include <algorithm>
#include <map>
#include <set>

#include "cli/chaos/checker.h"
#include "fmt/core.h"

namespace baton {
namespace {

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
// Only of a round that began within the promised time itself: rounds follow each other faster than
// that time is long, and what counts from the last of such a chain is never due.
//
// Once more, if a round then does something to the task's own worker before it was due: the worker
// was out of reach, could be reached for a second or two, and is out of reach again (it may be told
// nothing in between where links lose packets).
int64_t Undisturbed(const ChaosHistory& history, const std::string& worker, int64_t from_ns,
                    int64_t span_ns) {
  int64_t due = from_ns + span_ns;
  for (const ChaosRound& round : history.rounds) {
    if (round.from_ns > from_ns + span_ns || round.healed_ns <= from_ns) continue;
    due = std::max(due, round.healed_ns + span_ns);
  }
  int64_t later = due;
  for (const WorkerHarm& harm : history.harms) {
    if (harm.worker != worker || harm.from_ns > due) continue;
    later = std::max(later, harm.until_ns);
  }
  return later;
}

// Nobody did anything then, and the cluster had been found to be itself again: all replicas agreed
// on who leads.
bool Calm(const ChaosHistory& history, int64_t from_ns, int64_t until_ns) {
  return std::none_of(history.rounds.begin(), history.rounds.end(), [&](const ChaosRound& round) {
    const bool over = round.until_ns > 0 && round.until_ns < from_ns;  // 0: an error ended it
    return !over && round.from_ns <= until_ns;
  });
}

}  // namespace

std::map<std::string, int64_t> Acknowledged(const ChaosHistory& history, RequestKind kind) {
  std::map<std::string, int64_t> jobs;
  for (const ClientRequest& request : history.requests) {
    if (request.kind != kind || !request.Acknowledged()) continue;
    const auto [known, is_new] = jobs.try_emplace(request.job, request.answered_ns);
    if (!is_new) known->second = std::min(known->second, request.answered_ns);
  }
  return jobs;
}

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
    const int64_t deadline = Undisturbed(history, run.worker, found->second, span);
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

// A state that has ended is final, whoever is asked, through whatever failover. Who takes himself
// for the leader while faults go on may still tell what was true before; not what never was, and
// nothing at all once all replicas agree again.
Verdict JudgeFinal(const ChaosHistory& history) {
  Verdict verdict{"I7", "what has ended stays as it ended"};
  std::map<std::string, std::vector<const JobSighting*>> jobs;
  for (const JobSighting& sighting : history.job_sightings) jobs[sighting.job].push_back(&sighting);
  for (auto& [job, sightings] : jobs) {
    std::sort(sightings.begin(), sightings.end(),
              [](const auto* a, const auto* b) { return a->answered_ns < b->answered_ns; });
    const auto end = std::find_if(sightings.begin(), sightings.end(),
                                  [](const JobSighting* sighting) { return sighting->Ended(); });
    if (end == sightings.end()) continue;
    const JobSighting& first = **end;
    for (auto later = end + 1; later != sightings.end(); ++later) {
      const JobSighting& now = **later;
      if (now.sent_ns <= first.answered_ns && !now.Ended()) continue;  // asked before
      ++verdict.checked;
      if (now.state == first.state) continue;
      if (!now.Ended() && !Calm(history, now.sent_ns, now.answered_ns)) {
        ++verdict.excused;
        continue;
      }
      verdict.violations.push_back(fmt::format("{} was {} at {} for {}, and {} at {} for {}", job,
                                               first.state, first.answered_ns, first.asked,
                                               now.state, now.answered_ns, now.asked));
    }
    const std::string state = StateOf(history, job);
    if (state.empty() || state == first.state) continue;  // one that is lost is I1's
    verdict.violations.push_back(fmt::format("{} was {} at {} for {}, and is {} at the end", job,
                                             first.state, first.answered_ns, first.asked, state));
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
