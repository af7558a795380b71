// What the tasks' own lines prove.

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "cli/chaos/checker.h"
#include "fmt/core.h"

namespace baton {
namespace {

using RunsOfTask = std::map<SubtaskName, std::vector<const TaskRun*>>;

// Of each subtask in the order of their starts.
RunsOfTask ByTask(const ChaosHistory& history) {
  RunsOfTask tasks;
  for (const TaskRun& run : history.runs) tasks[run.name].push_back(&run);
  for (auto& [name, runs] : tasks) {
    std::sort(runs.begin(), runs.end(),
              [](const TaskRun* a, const TaskRun* b) { return a->started_ns < b->started_ns; });
  }
  return tasks;
}

std::string Describe(const TaskRun& run) {
  return fmt::format("{}/{}/{} attempt {} of epoch {} on {} (pid {}, started {})", run.name.job,
                     run.name.vertex, run.name.subtask, run.attempt, run.epoch, run.worker, run.pid,
                     run.started_ns);
}

// Every run of a task that is followed by another: excused where its worker was being harmed when
// it was last seen alive, or a moment later. What came long after it had ended did not take its end
// away, and what it had lived through did not end it.
// `which`: those that had done all their work (the second run does it twice), or the others.
enum class Earlier { kFinished, kInterrupted };
void JudgeRepetition(const ChaosHistory& history, const ChaosLimits& limits, Earlier which,
                     Verdict* verdict) {
  const auto told_ns = static_cast<int64_t>(limits.told_ms * 1e6);
  for (const auto& [name, runs] : ByTask(history)) {
    ++verdict->checked;
    for (size_t i = 1; i < runs.size(); ++i) {
      const TaskRun& before = *runs[i - 1];
      if ((before.end == TaskEnd::kFinished) != (which == Earlier::kFinished)) continue;
      // Not after the second run began either: a cause comes first.
      const int64_t until = std::min(before.alive_ns + told_ns, runs[i]->started_ns);
      if (Harmed(history, before.worker, before.alive_ns, until)) {
        ++verdict->excused;
      } else {
        verdict->violations.push_back(
            fmt::format("{}, and again {}", Describe(before), Describe(*runs[i])));
      }
    }
  }
}

bool EndedBefore(const RunsOfTask& tasks, const SubtaskName& name, int64_t time_ns) {
  const auto found = tasks.find(name);
  if (found == tasks.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const TaskRun* run) {
    return run->end == TaskEnd::kFinished && run->alive_ns <= time_ns;
  });
}

const PlannedVertex* VertexOf(const PlannedJob& job, const std::string& id) {
  for (const PlannedVertex& vertex : job.vertices) {
    if (vertex.id == id) return &vertex;
  }
  return nullptr;
}

// When somebody first held the answer that the job has ended; by job.
std::map<std::string, int64_t> SeenEnded(const ChaosHistory& history) {
  std::map<std::string, int64_t> jobs;
  for (const JobSighting& sighting : history.job_sightings) {
    if (!sighting.Ended()) continue;
    const auto [known, is_new] = jobs.try_emplace(sighting.job, sighting.answered_ns);
    if (!is_new) known->second = std::min(known->second, sighting.answered_ns);
  }
  return jobs;
}

// Runs that began after their job had ended: nothing excuses those, since a job ends only when no
// task of it can live any more. And runs that began long after its cancellation: that is written
// down before it is acknowledged, and whoever reads it deploys nothing. A deployment that was on
// its way reaches a worker that was cut off or stopped when that is over, so those are I7's alone.
void JudgeLateStarts(const ChaosHistory& history, const ChaosLimits& limits, Verdict* verdict) {
  const auto ended = SeenEnded(history);
  const auto cancelled = Acknowledged(history, RequestKind::kCancel);
  const auto late_ns = static_cast<int64_t>(limits.late_start_ms * 1e6);
  const auto gone_ns = static_cast<int64_t>(limits.cancelled_gone_ms * 1e6);
  for (const TaskRun& run : history.runs) {
    if (const auto end = ended.find(run.name.job); end != ended.end()) {
      ++verdict->checked;
      if (run.started_ns > end->second + late_ns) {
        verdict->violations.push_back(
            fmt::format("{}, after its job had ended at {}", Describe(run), end->second));
      }
    }
    const auto cancel = cancelled.find(run.name.job);
    if (cancel == cancelled.end()) continue;
    ++verdict->checked;
    if (run.started_ns <= cancel->second + gone_ns) continue;
    if (Harmed(history, run.worker, cancel->second, run.started_ns)) {
      ++verdict->excused;
      continue;
    }
    verdict->violations.push_back(
        fmt::format("{}, after the cancellation of its job at {}", Describe(run), cancel->second));
  }
}

}  // namespace

bool Harmed(const ChaosHistory& history, const std::string& worker, int64_t from, int64_t until) {
  return std::any_of(history.harms.begin(), history.harms.end(), [&](const WorkerHarm& harm) {
    return harm.worker == worker && harm.from_ns <= until && harm.until_ns >= from;
  });
}

Verdict JudgeOneRun(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"I2", "one job id, one run: no task that had ended runs again"};
  JudgeRepetition(history, limits, Earlier::kFinished, &verdict);
  return verdict;
}

Verdict JudgeUninterrupted(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"I11", "no task is started again whose worker nobody harmed"};
  JudgeRepetition(history, limits, Earlier::kInterrupted, &verdict);
  return verdict;
}

Verdict JudgeSingleAttempt(const ChaosHistory& history) {
  Verdict verdict{"I5", "at most one attempt of a subtask lives at any time"};
  for (const auto& [name, runs] : ByTask(history)) {
    ++verdict.checked;
    const TaskRun* longest = nullptr;  // of the earlier ones the last to be seen alive
    for (const TaskRun* run : runs) {
      if (longest != nullptr && run->started_ns < longest->alive_ns) {
        verdict.violations.push_back(
            fmt::format("{} still lived {:.1f} ms after the start of {}", Describe(*longest),
                        (longest->alive_ns - run->started_ns) / 1e6, Describe(*run)));
      }
      if (longest == nullptr || run->alive_ns > longest->alive_ns) longest = run;
    }
  }
  return verdict;
}

Verdict JudgeInputs(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"I6",
                  "no task starts before all its inputs have ended, none after its job has, or was "
                  "cancelled"};
  const RunsOfTask tasks = ByTask(history);
  for (const TaskRun& run : history.runs) {
    const auto job = history.jobs.find(run.name.job);
    if (job == history.jobs.end()) continue;
    const PlannedVertex* vertex = VertexOf(job->second, run.name.vertex);
    if (vertex == nullptr) continue;
    for (const std::string& input : vertex->inputs) {
      const PlannedVertex* source = VertexOf(job->second, input);
      for (uint32_t i = 0; source != nullptr && i < source->parallelism; ++i) {
        ++verdict.checked;
        if (EndedBefore(tasks, {run.name.job, input, i}, run.started_ns)) continue;
        verdict.violations.push_back(
            fmt::format("{} started before {}/{} had ended", Describe(run), input, i));
      }
    }
  }
  JudgeLateStarts(history, limits, &verdict);
  return verdict;
}

// A worker that has seen a newer epoch obeys no older leader: what it starts for an older one, it
// was told to before.
Verdict JudgeZombies(const ChaosHistory& history, const ChaosLimits& limits) {
  Verdict verdict{"I4", "no worker obeys an older leader than it has seen"};
  std::map<std::string, std::vector<const TaskRun*>> workers;
  for (const TaskRun& run : history.runs) workers[run.worker].push_back(&run);
  for (auto& [worker, runs] : workers) {
    std::sort(runs.begin(), runs.end(),
              [](const TaskRun* a, const TaskRun* b) { return a->started_ns < b->started_ns; });
    // When the worker first started something for the newest epoch so far; a later epoch's first
    // start is the earliest proof that it has seen more.
    std::map<uint64_t, int64_t> first_of;
    for (const TaskRun* run : runs) {
      ++verdict.checked;
      first_of.try_emplace(run->epoch, run->started_ns);
      const auto newer = first_of.upper_bound(run->epoch);
      if (newer == first_of.end()) continue;
      if (static_cast<double>(run->started_ns - newer->second) <= limits.late_start_ms * 1e6) {
        continue;
      }
      verdict.violations.push_back(fmt::format("{}, after one of epoch {} at {}", Describe(*run),
                                               newer->first, newer->second));
    }
  }
  return verdict;
}

}  // namespace baton
