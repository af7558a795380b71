#include "dispatcher/job_master/execution_graph.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/deliberate_break.h"
#include "base/log.h"

namespace baton {
namespace {

constexpr ExecutionState kActiveStates[] = {
    ExecutionState::kDeploying, ExecutionState::kInitializing, ExecutionState::kRunning,
    ExecutionState::kCanceling, ExecutionState::kReconciling};

// Reports of earlier attempts are stale for whoever reads the progress: they were counted.
uint32_t OldestOfInterest(const ExecutionVertex& subtask) {
  switch (subtask.state) {
    case ExecutionState::kCreated:
    case ExecutionState::kScheduled:
    case ExecutionState::kFailed:
      return subtask.next_attempt;  // it is between two attempts
    default:
      return subtask.next_attempt > 0 ? subtask.next_attempt - 1 : 0;
  }
}

}  // namespace

std::pair<uint32_t, uint32_t> PointwiseSources(uint32_t target, uint32_t source_parallelism,
                                               uint32_t target_parallelism) {
  const uint64_t sources = source_parallelism, targets = target_parallelism;
  const auto begin = static_cast<uint32_t>(target * sources / targets);
  const auto end = static_cast<uint32_t>((uint64_t{target} + 1) * sources / targets);
  return {begin, std::max(begin + 1, end)};
}

// A target's range begins at or before `source` up to the last target whose exact share begins
// before source + 1; and it reaches `source` from the first one on whose share begins at source or
// after, or ends after it: with fewer targets than sources that is one and the same.
std::pair<uint32_t, uint32_t> PointwiseTargets(uint32_t source, uint32_t source_parallelism,
                                               uint32_t target_parallelism) {
  const auto first_not_before = [&](uint64_t position) {  // of the exact shares' beginnings
    return static_cast<uint32_t>((position * target_parallelism + source_parallelism - 1) /
                                 source_parallelism);
  };
  const uint32_t end = first_not_before(uint64_t{source} + 1);
  return {std::min(end - 1, first_not_before(source)), end};
}

ExecutionGraph::ExecutionGraph(JobId job, JobGraphPtr graph)
    : job_(job), graph_(std::move(graph)), vertices_(graph_->vertices.size()) {
  for (size_t i = 0; i < vertices_.size(); ++i) {
    const uint32_t parallelism = graph_->vertices[i].parallelism;
    vertices_[i].subtasks.resize(parallelism);
    vertices_[i].counts[static_cast<size_t>(ExecutionState::kCreated)] = parallelism;
    total_ += parallelism;
  }
  counts_[static_cast<size_t>(ExecutionState::kCreated)] = static_cast<uint32_t>(total_);
  for (const JobEdge& edge : graph_->edges) {
    vertices_[edge.source].outputs.emplace_back(edge.target, edge.pattern);
    vertices_[edge.target].inputs.push_back({edge.source, edge.pattern});
    if (edge.pattern == DistributionPattern::kAllToAll) {
      ++vertices_[edge.target].unfinished_all_to_all_inputs;
    }
  }
}

bool ExecutionGraph::Contains(SubtaskIndex index) const {
  return index.vertex < vertices_.size() && index.subtask < vertices_[index.vertex].subtasks.size();
}

uint64_t ExecutionGraph::active() const {
  uint64_t active = 0;
  for (ExecutionState state : kActiveStates) active += count(state);
  return active;
}

void ExecutionGraph::SetState(SubtaskIndex index, ExecutionState to) {
  ExecutionVertex& subtask = at(index);
  auto& counts = vertices_[index.vertex].counts;
  --counts[static_cast<size_t>(subtask.state)];
  --counts_[static_cast<size_t>(subtask.state)];
  subtask.state = to;
  ++counts[static_cast<size_t>(to)];
  ++counts_[static_cast<size_t>(to)];
}

void ExecutionGraph::Move(SubtaskIndex index, ExecutionState to, WallMillis now) {
  ExecutionVertex& subtask = at(index);
  if (!MayMove(subtask.state, to)) {
    log::Error("illegal move of a subtask job_id={} vertex={} subtask={} from={} to={}",
               job_.ToString(), index.vertex, index.subtask, ToString(subtask.state), ToString(to));
    std::abort();
  }
  SetState(index, to);
  if (subtask.execution) subtask.execution->timestamps.emplace(to, now);
  Vertex& vertex = vertices_[index.vertex];
  if (to == ExecutionState::kRunning && vertex.first_start == kNotYet) vertex.first_start = now;
  if (to == ExecutionState::kFinished) OnFinished(index, now);
}

void ExecutionGraph::Reset(SubtaskIndex index) { SetState(index, ExecutionState::kCreated); }

void ExecutionGraph::RestoreFinished(SubtaskIndex index) {
  if (at(index).state == ExecutionState::kFinished) return;
  SetState(index, ExecutionState::kFinished);
  OnFinished(index, kNotYet);
}

void ExecutionGraph::OnFinished(SubtaskIndex index, WallMillis now) {
  Vertex& source = vertices_[index.vertex];
  const bool whole = ++source.finished == source.subtasks.size();
  for (const auto& [target, pattern] : source.outputs) {
    Vertex& consumer = vertices_[target];
    if (pattern == DistributionPattern::kAllToAll) {
      if (!whole) continue;
      --consumer.unfinished_all_to_all_inputs;
      if (scheduling_) QueueAllConsumable(target, now);
    } else if (scheduling_) {
      const auto [begin, end] =
          PointwiseTargets(index.subtask, static_cast<uint32_t>(source.subtasks.size()),
                           static_cast<uint32_t>(consumer.subtasks.size()));
      for (uint32_t t = begin; t < end; ++t) QueueIfConsumable({target, t}, now);
    }
  }
}

bool ExecutionGraph::IsConsumable(SubtaskIndex index) const {
  const Vertex& vertex = vertices_[index.vertex];
  if (vertex.unfinished_all_to_all_inputs > 0) return false;
  for (const InputEdge& input : vertex.inputs) {
    const Vertex& source = vertices_[input.source];
    if (input.pattern == DistributionPattern::kAllToAll) continue;
    if (source.finished == source.subtasks.size()) continue;
    if (Broken(Break::kInputsNotAwaited)) continue;
    const auto [begin, end] =
        PointwiseSources(index.subtask, static_cast<uint32_t>(source.subtasks.size()),
                         static_cast<uint32_t>(vertex.subtasks.size()));
    for (uint32_t s = begin; s < end; ++s) {
      if (source.subtasks[s].state != ExecutionState::kFinished) return false;
    }
  }
  return true;
}

void ExecutionGraph::QueueIfConsumable(SubtaskIndex index, WallMillis now) {
  ExecutionVertex& subtask = at(index);
  if (subtask.queued || subtask.state != ExecutionState::kCreated || !IsConsumable(index)) return;
  subtask.queued = true;
  Move(index, ExecutionState::kScheduled, now);
  vertices_[index.vertex].ready.push_back(index.subtask);
  ready_vertices_.emplace(-int64_t{graph_->vertices[index.vertex].priority}, index.vertex);
  ++ready_count_;
}

void ExecutionGraph::QueueAllConsumable(uint32_t vertex, WallMillis now) {
  if (vertices_[vertex].unfinished_all_to_all_inputs > 0) return;
  for (uint32_t i = 0; i < vertices_[vertex].subtasks.size(); ++i) {
    QueueIfConsumable({vertex, i}, now);
  }
}

void ExecutionGraph::QueueConsumable(WallMillis now) {
  scheduling_ = true;
  for (uint32_t vertex = 0; vertex < vertices_.size(); ++vertex) QueueAllConsumable(vertex, now);
}

void ExecutionGraph::Requeue(SubtaskIndex index, WallMillis now) {
  if (scheduling_) QueueIfConsumable(index, now);
}

SubtaskIndex ExecutionGraph::TakeReady() {
  const auto first = ready_vertices_.begin();
  Vertex& vertex = vertices_[first->second];
  const SubtaskIndex index{first->second, vertex.ready.front()};
  vertex.ready.pop_front();
  --ready_count_;
  if (vertex.ready.empty()) ready_vertices_.erase(first);
  at(index).queued = false;
  return index;
}

void ExecutionGraph::ClearReady() {
  while (ready_count_ > 0) TakeReady();
  scheduling_ = false;
}

void ExecutionGraph::ForEach(const std::function<void(SubtaskIndex, ExecutionVertex&)>& visit) {
  for (uint32_t v = 0; v < vertices_.size(); ++v) {
    for (uint32_t s = 0; s < vertices_[v].subtasks.size(); ++s) {
      visit({v, s}, vertices_[v].subtasks[s]);
    }
  }
}

void ExecutionGraph::WriteProgress(pb::JobPointer* pointer) const {
  pointer->clear_progress();
  for (uint32_t v = 0; v < vertices_.size(); ++v) {
    pb::VertexProgress progress;
    progress.set_vertex(v);
    const auto& subtasks = vertices_[v].subtasks;
    for (uint32_t s = 0; s < subtasks.size(); ++s) {
      const bool finished = subtasks[s].state == ExecutionState::kFinished;
      const bool extends = progress.finished_to_size() > 0 &&
                           progress.finished_to(progress.finished_to_size() - 1) == s;
      if (finished && extends) {
        progress.set_finished_to(progress.finished_to_size() - 1, s + 1);
      } else if (finished) {
        progress.add_finished_from(s);
        progress.add_finished_to(s + 1);
      } else if (const uint32_t current = OldestOfInterest(subtasks[s]); current > 0) {
        progress.add_retried_subtask(s);
        progress.add_next_attempt(current);
      }
    }
    if (progress.finished_to_size() > 0 || progress.retried_subtask_size() > 0) {
      *pointer->add_progress() = std::move(progress);
    }
  }
}

// Ranges that overlap are refused too: a damaged pointer of a megabyte could name every subtask a
// hundred thousand times.
bool ExecutionGraph::ReadProgress(const pb::JobPointer& pointer) {
  uint64_t next_vertex = 0;
  for (const pb::VertexProgress& progress : pointer.progress()) {
    if (progress.finished_from_size() != progress.finished_to_size() ||
        progress.retried_subtask_size() != progress.next_attempt_size() ||
        progress.vertex() < next_vertex) {
      return false;
    }
    next_vertex = uint64_t{progress.vertex()} + 1;
    uint32_t next_subtask = 0;
    for (int i = 0; i < progress.finished_from_size(); ++i) {
      if (progress.finished_from(i) < next_subtask) return false;
      if (progress.finished_to(i) < progress.finished_from(i)) return false;
      next_subtask = progress.finished_to(i);
      for (uint32_t s = progress.finished_from(i); s < progress.finished_to(i); ++s) {
        if (!Contains({progress.vertex(), s})) return false;
        RestoreFinished({progress.vertex(), s});
      }
    }
    for (int i = 0; i < progress.retried_subtask_size(); ++i) {
      const SubtaskIndex index{progress.vertex(), progress.retried_subtask(i)};
      if (!Contains(index)) return false;
      at(index).next_attempt = progress.next_attempt(i);
    }
  }
  return true;
}

VertexDetails ExecutionGraph::Describe(uint32_t index, bool with_subtasks) const {
  const Vertex& vertex = vertices_[index];
  const JobVertex& source = graph_->vertices[index];
  VertexDetails details;
  details.id = source.id;
  details.name = source.name;
  details.parallelism = source.parallelism;
  details.status = AggregateState(vertex.counts, source.parallelism);
  details.start = vertex.first_start;
  details.tasks = vertex.counts;
  const bool ended = IsTerminal(details.status);
  for (uint32_t s = 0; s < vertex.subtasks.size(); ++s) {
    const ExecutionVertex& subtask = vertex.subtasks[s];
    AttemptDetails attempt;
    attempt.subtask = s;
    attempt.state = subtask.state;
    if (const Execution* execution = subtask.execution.get()) {
      attempt.attempt = execution->id.attempt;
      attempt.epoch = execution->id.epoch;
      attempt.task_manager_id = execution->task_manager.value();
      attempt.endpoint = execution->host;
      attempt.timestamps = execution->timestamps;
      attempt.failure = execution->failure;
      attempt.exit_code = execution->exit_code;
      for (const auto& [state, at] : execution->timestamps) {
        if (state == ExecutionState::kDeploying) attempt.start = at;
        if (IsTerminal(state)) attempt.end = at;
      }
      if (ended) details.end = std::max(details.end, attempt.end);
    }
    if (with_subtasks) details.subtasks.push_back(std::move(attempt));
  }
  return details;
}

}  // namespace baton
