#include "tests/simulation/recorder.h"

#include <gtest/gtest.h>

#include "ha/leader_election.h"
#include "store/records.pb.h"

namespace baton {

Recorder::Recorder(ExecutorPtr executor, CoordinationClientPtr admin, CoordinationPaths paths)
    : executor_(std::move(executor)), admin_(std::move(admin)), paths_(std::move(paths)) {}

void Recorder::Start() { WatchEpoch(); }

void Recorder::Know(const SimulatedJob& job) {
  if (jobs_.emplace(job.id, job).second) WatchResult(job.id);
}

FakeProcessLauncher::Script Recorder::ScriptFor(const LaunchSpec& spec) {
  FakeProcessLauncher::Script script;
  const auto& vertex = jobs_.at(spec.id.job).vertices.at(spec.id.vertex);
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
    ADD_FAILURE() << "I2: " << id.ToString() << " starts on " << worker << " while "
                  << live->second.id.ToString() << " lives on " << live->second.worker;
  }
  if (restarts_ == Restarts::kForbidden) {
    EXPECT_EQ(history.starts, history.failures)
        << "I11: " << id.ToString() << " runs again although nothing of it failed";
  }
  for (const auto& [vertex, input] : jobs_.at(id.job).InputsOf(id.vertex, id.subtask)) {
    EXPECT_GT((history_[Subtask{id.job, vertex, input}].successes), 0u)
        << "I6: " << id.ToString() << " starts before " << vertex << "/" << input << " has ended";
  }
  EXPECT_FALSE(outcomes_.contains(id.job))
      << "I6: " << id.ToString() << " starts after its job ended as " << outcomes_[id.job];
  ++history.starts;
  ++total_starts_;
  last_start_ = executor_->Now();
  live_[subtask] = {id, worker};
}

void Recorder::OnEnd(const ExecutionAttemptId& id, const pb::FinalReport& report) {
  const Subtask subtask{id.job, id.vertex, id.subtask};
  History& history = history_[subtask];
  if (report.outcome() == pb::FinalReport::EXITED) {
    ++(report.exit_code() == 0 ? history.successes : history.failures);
  }
  last_end_ = executor_->Now();
  auto live = live_.find(subtask);
  if (live != live_.end() && live->second.id == id) live_.erase(live);
}

void Recorder::WatchEpoch() {
  auto again = IfAlive(weak_from_this(), [](Recorder& self) { self.WatchEpoch(); });
  admin_->Get(paths_.epoch(), again, IfAlive(weak_from_this(), [again](Recorder& self, auto node) {
                if (absl::IsNotFound(node.status())) return;
                if (!node.ok()) return self.RetryWatch(again);
                pb::LeaderRecord record;
                ASSERT_TRUE(record.ParseFromString(node->data));
                EXPECT_GE(record.epoch(), self.epoch_) << "I3: the epoch went back";
                self.epoch_ = std::max(self.epoch_, record.epoch());
              }));
}

void Recorder::WatchResult(const JobId& job) {
  auto again = IfAlive(weak_from_this(), [job](Recorder& self) { self.WatchResult(job); });
  admin_->Get(paths_.result(job), again,
              IfAlive(weak_from_this(), [job, again](Recorder& self, auto node) {
                if (node.ok()) return self.OnResult(job, node->data);
                if (!absl::IsNotFound(node.status())) return self.RetryWatch(again);
                EXPECT_FALSE(self.outcomes_.contains(job)) << "I7: a result is gone";
              }));
}

// The coordination service was away: nothing is watched then.
void Recorder::RetryWatch(Task watch) {
  executor_->PostAfter(std::chrono::milliseconds(100), std::move(watch));
}

void Recorder::OnResult(const JobId& job, const std::string& data) {
  pb::JobResult result;
  ASSERT_TRUE(result.ParseFromString(data));
  auto [known, added] = outcomes_.emplace(job, result.outcome());
  EXPECT_EQ(known->second, result.outcome())
      << "I7: the result of " << job.ToString() << " changed";
  if (cancelled_.contains(job)) {
    EXPECT_EQ(result.outcome(), "CANCELED") << "I7: " << job.ToString() << " was cancelled";
  }
  if (!added) return;
  for (const auto& [subtask, live] : live_) {
    EXPECT_NE(subtask.job, job) << "I6: " << live.id.ToString() << " lives on " << live.worker
                                << " after its job ended as " << result.outcome();
  }
  if (result.outcome() != "FINISHED") return;
  const SimulatedJob& graph = jobs_.at(job);
  for (uint32_t v = 0; v < graph.vertices.size(); ++v) {
    for (uint32_t s = 0; s < graph.vertices[v].parallelism; ++s) {
      EXPECT_GT((history_[Subtask{job, v, s}].successes), 0u)
          << "I6: " << job.ToString() << " is finished without " << v << "/" << s;
    }
  }
}

std::string Recorder::OutcomeOf(const JobId& job) const {
  auto outcome = outcomes_.find(job);
  return outcome == outcomes_.end() ? "" : outcome->second;
}

bool Recorder::AllEnded() const {
  for (const JobId& job : acknowledged_) {
    if (!outcomes_.contains(job)) return false;
  }
  return true;
}

std::string Recorder::DescribeUnfinished() const {
  std::string text;
  for (const JobId& job : acknowledged_) {
    if (!outcomes_.contains(job)) {
      text += fmt::format("I1: {} has no result; {} starts\n", job.ToString(), StartsOf(job));
    }
  }
  return text;
}

size_t Recorder::RunningOn(const std::string& worker) const {
  size_t running = 0;
  for (const auto& [subtask, live] : live_) running += live.worker == worker ? 1 : 0;
  return running;
}

size_t Recorder::StartsOf(const JobId& job) const {
  size_t starts = 0;
  for (const auto& [subtask, history] : history_) {
    if (subtask.job == job) starts += history.starts;
  }
  return starts;
}

}  // namespace baton
