#include "tests/simulation/recorder.h"

#include <algorithm>

namespace baton {
namespace {

// A lease that is not renewed ends so long after the silence began, and a little later: whoever was
// silent may also have come back just too late.
constexpr Duration kSilenceCounts = std::chrono::seconds(25);

bool IsAsSubmitted(const LaunchSpec& spec, const SimulatedJob& job) {
  if (spec.id.vertex >= job.vertices.size()) return false;
  const uint32_t parallelism = job.vertices[spec.id.vertex].parallelism;
  const auto says = [&](const char* name, const std::string& value) {
    return std::ranges::find(spec.env, std::pair(std::string(name), value)) != spec.env.end();
  };
  return spec.id.subtask < parallelism && spec.timeout == Duration::zero() &&
         spec.command == std::vector<std::string>{"run", std::to_string(spec.id.subtask)} &&
         says("BATON_PARALLELISM", std::to_string(parallelism)) &&
         says("BATON_VERTEX_ID", fmt::format("v{}", spec.id.vertex));
}

}  // namespace

Recorder::Recorder(ExecutorPtr executor, std::shared_ptr<TreeJudge> tree, OnViolation on_violation)
    : executor_(std::move(executor)), tree_(std::move(tree)), violated_(std::move(on_violation)) {}

void Recorder::Start() {
  const auto weak = weak_from_this();
  tree_->Listen(
      {.on_result = IfAlive(weak, [](Recorder& self, const JobId& job,
                                     const std::string& outcome) { self.OnResult(job, outcome); }),
       .on_delisted = IfAlive(
           weak, [](Recorder& self, const std::string& worker) { self.OnDelisted(worker); })});
}

// ---- harm

void Recorder::Harm(const std::string& worker) {
  // Also what has ended there: its report may not have arrived.
  for (auto& [subtask, history] : history_) {
    if (history.worker == worker) history.excused = true;
  }
}

void Recorder::BeginHarm(const std::string& worker) {
  ++harmed_[worker];
  Harm(worker);
}

void Recorder::EndHarm(const std::string& worker) {
  Harm(worker);
  if (--harmed_[worker] == 0) harmed_.erase(worker);
}

void Recorder::EndSilence() {
  --silent_;
  silence_until_ = executor_->Now() + kSilenceCounts;
}

bool Recorder::MayLeasesEnd() const { return silent_ > 0 || executor_->Now() < silence_until_; }

// ---- processes

FakeProcessLauncher::Script Recorder::ScriptFor(const std::string& worker, Epoch obeyed,
                                                const LaunchSpec& spec) {
  if (spec.id.epoch < obeyed) {
    violated_("I4", fmt::format("{} obeys a deployment of {} in epoch {}", worker,
                                spec.id.ToString(), obeyed.value));
  }
  FakeProcessLauncher::Script script;
  const SimulatedJob& job = JobOf(spec.id.job);
  if (!IsAsSubmitted(spec, job)) {
    violated_("I8", spec.id.ToString() + " is told to run what nobody submitted");
    return script;
  }
  const auto& vertex = job.vertices.at(spec.id.vertex);
  script.runs_for = vertex.runs_for;
  const Subtask subtask{spec.id.job, spec.id.vertex, spec.id.subtask};
  if (history_[subtask].failures < vertex.failures) script.exit_code = 1;
  return script;
}

FakeProcessLauncher::Observer Recorder::ObserverOf(const std::string& worker) {
  auto weak = weak_from_this();
  return {.on_process_start = IfAlive(
              weak,
              [worker](Recorder& self, const ExecutionAttemptId& id) { self.OnStart(worker, id); }),
          .on_process_end =
              IfAlive(weak, [](Recorder& self, const ExecutionAttemptId& id,
                               const pb::FinalReport& report) { self.OnEnd(id, report); })};
}

void Recorder::OnStart(const std::string& worker, const ExecutionAttemptId& id) {
  const Subtask subtask{id.job, id.vertex, id.subtask};
  History& history = history_[subtask];
  if (auto live = live_.find(subtask); live != live_.end()) {
    violated_("I5", fmt::format("{} starts on {} while {} lives on {}", id.ToString(), worker,
                                live->second.id.ToString(), live->second.worker));
  }
  CheckStart(worker, id, history);
  CheckRestart(id, history);
  history.failed = false;
  history.excused = harmed_.contains(worker);
  history.worker = worker;
  ++history.starts;
  ++total_starts_;
  last_start_ = executor_->Now();
  live_[subtask] = {id, worker};
}

void Recorder::CheckStart(const std::string& worker, const ExecutionAttemptId& id,
                          const History& history) {
  for (const auto& [vertex, input] : JobOf(id.job).InputsOf(id.vertex, id.subtask)) {
    if (history_[Subtask{id.job, vertex, input}].successes > 0) continue;
    violated_("I6", fmt::format("{} starts before {}/{} has ended", id.ToString(), vertex, input));
  }
  if (const std::string outcome = tree_->OutcomeOf(id.job); !outcome.empty()) {
    violated_("I6", fmt::format("{} starts after its job ended as {}", id.ToString(), outcome));
  }
  if (tree_->IsFinished(id.job, id.vertex, id.subtask)) {
    violated_("I2", fmt::format("{} runs again although it is on record as finished ({} starts)",
                                id.ToString(), history.starts));
  }
  if (!tree_->IsOnRoster(worker)) {
    violated_("P4", fmt::format("{} runs {} and is not on the roster", worker, id.ToString()));
  }
}

void Recorder::CheckRestart(const ExecutionAttemptId& id, const History& history) {
  if (restarts_ == Restarts::kAllowed || history.starts == 0 || history.failed) return;
  if (restarts_ == Restarts::kExcused && history.excused) return;
  violated_("I11", fmt::format("{} runs again although nothing of it failed (start {} on {})",
                               id.ToString(), history.starts + 1, history.worker));
}

void Recorder::OnEnd(const ExecutionAttemptId& id, const pb::FinalReport& report) {
  const Subtask subtask{id.job, id.vertex, id.subtask};
  History& history = history_[subtask];
  if (report.outcome() == pb::FinalReport::EXITED) {
    ++(report.exit_code() == 0 ? history.successes : history.failures);
    history.failed = report.exit_code() != 0;
  }
  if (report.outcome() == pb::FinalReport::LEASE_EXPIRED && !history.excused) {
    if (restarts_ == Restarts::kExcused && !MayLeasesEnd()) {
      violated_("P5", id.ToString() + " loses its lease although no dispatcher was silent");
    }
    history.excused = true;
  }
  last_end_ = executor_->Now();
  auto live = live_.find(subtask);
  if (live != live_.end() && live->second.id == id) live_.erase(live);
}

void Recorder::OnDelisted(const std::string& worker) {
  if (const size_t running = RunningOn(worker); running > 0) {
    violated_("P4", fmt::format("{} goes off the roster and runs {} processes", worker, running));
  }
}

// ---- jobs

void Recorder::Know(const SimulatedJob& job) {
  jobs_.emplace(job.id, job);
  tree_->OnFirstSent(job.id.ToString(), executor_->Now());
}

void Recorder::KnowByName(const SimulatedJob& job) {
  named_.emplace(job.name, job);
  tree_->OnFirstSent(job.name, executor_->Now());
}

const SimulatedJob& Recorder::JobOf(const JobId& id) {
  if (auto known = jobs_.find(id); known != jobs_.end()) return known->second;
  SimulatedJob job = named_.at(tree_->NameOf(id));
  job.id = id;
  return jobs_.emplace(id, std::move(job)).first->second;
}

void Recorder::OnAcknowledged(const JobId& job) {
  if (!acknowledged_.insert(job).second) return;
  if (!tree_->OutcomeOf(job).empty()) ++ended_;
  if (!tree_->Knows(job) && !tree_->IsExcused(job)) {
    violated_("I1", job.ToString() + " is acknowledged and nowhere on record");
  }
}

void Recorder::OnResult(const JobId& job, const std::string& outcome) {
  if (acknowledged_.contains(job)) ++ended_;
  if (cancelled_.contains(job) && outcome != "CANCELED") {
    violated_("I7", fmt::format("{} was cancelled and ends as {}", job.ToString(), outcome));
  }
  for (const auto& [subtask, live] : live_) {
    if (subtask.job != job) continue;
    if (outcome == "CANCELED" && quarantined_.contains(job)) continue;  // I7 looks 10 s later
    violated_("I6", fmt::format("{} lives on {} after its job ended as {}", live.id.ToString(),
                                live.worker, outcome));
  }
  const auto graph = jobs_.find(job);
  if (outcome != "FINISHED" || graph == jobs_.end()) return;
  for (uint32_t v = 0; v < graph->second.vertices.size(); ++v) {
    for (uint32_t s = 0; s < graph->second.vertices[v].parallelism; ++s) {
      if (history_[Subtask{job, v, s}].successes > 0) continue;
      violated_("I6", fmt::format("{} is finished without {}/{}", job.ToString(), v, s));
    }
  }
}

std::string Recorder::DescribeUnfinished() const {
  std::string text;
  for (const JobId& job : acknowledged_) {
    if (tree_->OutcomeOf(job).empty()) {
      text += fmt::format("{} has no result; {} starts\n", job.ToString(), StartsOf(job));
    }
  }
  return text;
}

size_t Recorder::RunningCancelled() const {
  return static_cast<size_t>(std::ranges::count_if(
      live_, [&](const auto& live) { return cancelled_.contains(live.first.job); }));
}

size_t Recorder::RunningOn(const std::string& worker) const {
  return static_cast<size_t>(
      std::ranges::count_if(live_, [&](const auto& live) { return live.second.worker == worker; }));
}

size_t Recorder::StartsOf(const JobId& job) const {
  size_t starts = 0;
  for (auto it = history_.lower_bound(Subtask{job, 0, 0});
       it != history_.end() && it->first.job == job; ++it) {
    starts += it->second.starts;
  }
  return starts;
}

}  // namespace baton
