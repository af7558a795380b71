#include "dispatcher/job_master/execution_graph.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "tests/dispatcher/graphs.h"

namespace baton {
namespace {

constexpr WallMillis kNow = 1000;

JobId SomeJob() { return JobId::FromKey("job"); }

void RunToEnd(ExecutionGraph& graph, SubtaskIndex index) {
  graph.at(index).execution = std::make_unique<Execution>();
  for (ExecutionState state :
       {ExecutionState::kDeploying, ExecutionState::kRunning, ExecutionState::kFinished}) {
    graph.Move(index, state, kNow);
  }
}

TEST(ExecutionGraph, SourcesAreReadyAtOnceTargetsWhenTheirInputsHaveFinished) {
  ExecutionGraph graph(SomeJob(), Graph({Vertex("a", 2), Vertex("b", 3)}, {{0, 1}}));
  graph.QueueConsumable(kNow);
  ASSERT_EQ(graph.ready_count(), 2u);
  const SubtaskIndex first = graph.TakeReady(), second = graph.TakeReady();
  EXPECT_EQ(first, (SubtaskIndex{0, 0}));
  EXPECT_EQ(second, (SubtaskIndex{0, 1}));
  RunToEnd(graph, first);
  EXPECT_EQ(graph.ready_count(), 0u);
  RunToEnd(graph, second);
  EXPECT_EQ(graph.ready_count(), 3u);
}

TEST(ExecutionGraph, EveryPointwiseTargetWaitsForExactlyItsSources) {
  std::mt19937 random(7);
  for (uint32_t sources : {1u, 2u, 3u, 5u, 8u}) {
    for (uint32_t targets : {1u, 2u, 3u, 4u, 7u}) {
      ExecutionGraph graph(SomeJob(), Graph({Vertex("a", sources), Vertex("b", targets)},
                                            {{0, 1, DistributionPattern::kPointwise}}));
      graph.QueueConsumable(kNow);
      std::vector<SubtaskIndex> ready;
      while (graph.ready_count() > 0) ready.push_back(graph.TakeReady());
      ASSERT_EQ(ready.size(), sources);
      std::shuffle(ready.begin(), ready.end(), random);
      std::vector<bool> finished(sources), queued(targets);
      for (const SubtaskIndex source : ready) {
        RunToEnd(graph, source);
        finished[source.subtask] = true;
        while (graph.ready_count() > 0) queued[graph.TakeReady().subtask] = true;
        for (uint32_t t = 0; t < targets; ++t) {
          const auto [begin, end] = PointwiseSources(t, sources, targets);
          ASSERT_LT(begin, end);
          bool all = true;
          for (uint32_t s = begin; s < end; ++s) all = all && finished[s];
          EXPECT_EQ(queued[t], all) << sources << "->" << targets << " target " << t;
        }
      }
    }
  }
}

TEST(ExecutionGraph, EverySourceHasAPointwiseTarget) {
  for (uint32_t sources = 1; sources <= 12; ++sources) {
    for (uint32_t targets = 1; targets <= 12; ++targets) {
      std::vector<bool> covered(sources);
      for (uint32_t t = 0; t < targets; ++t) {
        const auto [begin, end] = PointwiseSources(t, sources, targets);
        ASSERT_LE(end, sources);
        for (uint32_t s = begin; s < end; ++s) covered[s] = true;
      }
      EXPECT_EQ(std::count(covered.begin(), covered.end(), true), sources);
    }
  }
}

TEST(ExecutionGraph, PointwiseTargetsAreThoseThatHaveTheSource) {
  for (uint32_t sources = 1; sources <= 20; ++sources) {
    for (uint32_t targets = 1; targets <= 20; ++targets) {
      for (uint32_t s = 0; s < sources; ++s) {
        const auto [first, last] = PointwiseTargets(s, sources, targets);
        for (uint32_t t = 0; t < targets; ++t) {
          const auto [begin, end] = PointwiseSources(t, sources, targets);
          EXPECT_EQ(t >= first && t < last, s >= begin && s < end)
              << sources << "->" << targets << " source " << s << " target " << t;
        }
      }
    }
  }
}

TEST(ExecutionGraph, AMoreUrgentVertexRunsFirst) {
  JobVertex low = Vertex("low"), high = Vertex("high");
  high.priority = 5;
  ExecutionGraph graph(SomeJob(), Graph({low, high}));
  graph.QueueConsumable(kNow);
  EXPECT_EQ(graph.TakeReady(), (SubtaskIndex{1, 0}));
  EXPECT_EQ(graph.TakeReady(), (SubtaskIndex{0, 0}));
}

TEST(ExecutionGraph, ProgressSurvivesAsRangesAndTheRestGoesOn) {
  const auto job = Graph({Vertex("a", 10), Vertex("b", 1)}, {{0, 1}});
  ExecutionGraph graph(SomeJob(), job);
  graph.QueueConsumable(kNow);
  while (graph.ready_count() > 0) {
    const SubtaskIndex index = graph.TakeReady();
    if (index.subtask != 4 && index.subtask != 9) RunToEnd(graph, index);
  }
  graph.at({0, 4}).next_attempt = 3;
  graph.Move({0, 4}, ExecutionState::kFailed, kNow);
  graph.Reset({0, 4});
  pb::JobPointer pointer;
  graph.WriteProgress(&pointer);
  ASSERT_EQ(pointer.progress_size(), 1);
  EXPECT_EQ(pointer.progress(0).finished_from_size(), 2);  // 0..3 and 5..8

  ExecutionGraph next(SomeJob(), job);
  ASSERT_TRUE(next.ReadProgress(pointer));
  EXPECT_EQ(next.count(ExecutionState::kFinished), 8u);
  EXPECT_EQ(next.at({0, 4}).next_attempt, 3u);
  next.QueueConsumable(kNow);
  ASSERT_EQ(next.ready_count(), 2u);
  RunToEnd(next, next.TakeReady());
  EXPECT_EQ(next.ready_count(), 1u);
  RunToEnd(next, next.TakeReady());
  EXPECT_EQ(next.TakeReady(), (SubtaskIndex{1, 0}));
}

// Its second attempt runs: the first was counted, and its report says nothing new to a later
// leader.
TEST(ExecutionGraph, ProgressSaysWhichAttemptsWereCounted) {
  const auto job = Graph({Vertex("a", 2)});
  ExecutionGraph graph(SomeJob(), job);
  graph.QueueConsumable(kNow);
  for (const uint32_t s : {0u, 1u}) {
    ExecutionVertex& subtask = graph.at(graph.TakeReady());
    subtask.execution = std::make_unique<Execution>();
    subtask.next_attempt = 2 - s;
    graph.Move({0, s}, ExecutionState::kDeploying, kNow);
  }
  pb::JobPointer pointer;
  graph.WriteProgress(&pointer);
  ExecutionGraph next(SomeJob(), job);
  ASSERT_TRUE(next.ReadProgress(pointer));
  EXPECT_EQ(next.at({0, 0}).next_attempt, 1u) << "attempt 1 is the current one";
  EXPECT_EQ(next.at({0, 1}).next_attempt, 0u);
}

TEST(ExecutionGraph, ProgressOfAnotherGraphIsRefused) {
  pb::JobPointer pointer;
  auto* progress = pointer.add_progress();
  progress->add_finished_from(0);
  progress->add_finished_to(3);
  ExecutionGraph graph(SomeJob(), Graph({Vertex("a", 2)}));
  EXPECT_FALSE(graph.ReadProgress(pointer));
}

TEST(ExecutionGraph, ProgressThatNamesASubtaskTwiceIsRefused) {
  const auto read = [](std::vector<std::array<uint32_t, 3>> ranges) {
    pb::JobPointer pointer;
    for (const auto& [vertex, from, to] : ranges) {
      const bool same = pointer.progress_size() > 0 &&
                        pointer.progress(pointer.progress_size() - 1).vertex() == vertex;
      auto* progress =
          same ? pointer.mutable_progress(pointer.progress_size() - 1) : pointer.add_progress();
      progress->set_vertex(vertex);
      progress->add_finished_from(from);
      progress->add_finished_to(to);
    }
    ExecutionGraph graph(SomeJob(), Graph({Vertex("a", 8), Vertex("b", 8)}));
    return graph.ReadProgress(pointer);
  };
  EXPECT_TRUE(read({{0, 0, 4}, {0, 4, 8}, {1, 2, 3}}));
  EXPECT_FALSE(read({{0, 0, 4}, {0, 3, 8}}));
  EXPECT_FALSE(read({{0, 0, 4}, {0, 4, 0}, {0, 0, 4}}));
  EXPECT_FALSE(read({{0, 0, 4}, {1, 0, 4}, {0, 4, 8}}));
}

TEST(ExecutionGraphDeathTest, AnIllegalMoveAborts) {
  ExecutionGraph graph(SomeJob(), Graph({Vertex("a")}));
  EXPECT_DEATH(graph.Move({0, 0}, ExecutionState::kRunning, kNow), "illegal move");
}

}  // namespace
}  // namespace baton
