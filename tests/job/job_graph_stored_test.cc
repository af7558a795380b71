#include <gtest/gtest.h>

#include <random>

#include "base/config_options.h"
#include "base/status.h"
#include "job/job_graph.h"
#include "job/job_graph.pb.h"

namespace baton {
namespace {

JobGraph FullGraph() {
  JobGraph graph;
  graph.name = "word-count";
  graph.priority = -7;
  graph.vertices = {
      {.id = "split", .name = "split", .command = {"bin/split", ""}},
      {.id = "count",
       .name = "Count words",
       .parallelism = 8,
       .command = {"bin/count"},
       .env = {{"A", ""}, {"LANG", "C"}},
       .timeout = std::chrono::milliseconds(1500),
       .priority = 3},
  };
  graph.edges = {{.source = 0, .target = 1, .pattern = DistributionPattern::kPointwise}};
  graph.restart_strategy = {.type = RestartStrategyConfig::Type::kFixedDelay,
                            .attempts = 4,
                            .delay = std::chrono::seconds(2)};
  return graph;
}

absl::StatusCode CodeOf(const JobGraph& graph) {
  return FromStored(ToStored(graph)).status().code();
}

TEST(JobGraphStoredTest, ReadsBackWhatWasStored) {
  const JobGraph graph = FullGraph();
  const auto read = FromStored(ToStored(graph));
  ASSERT_TRUE(read.ok()) << read.status();
  const JobGraph& back = **read;
  EXPECT_EQ(back.name, graph.name);
  EXPECT_EQ(back.priority, graph.priority);
  ASSERT_EQ(back.vertices.size(), 2u);
  EXPECT_EQ(back.vertices[0].command, graph.vertices[0].command);
  EXPECT_EQ(back.vertices[1].id, "count");
  EXPECT_EQ(back.vertices[1].name, "Count words");
  EXPECT_EQ(back.vertices[1].parallelism, 8u);
  EXPECT_EQ(back.vertices[1].env, graph.vertices[1].env);
  EXPECT_EQ(back.vertices[1].timeout, graph.vertices[1].timeout);
  EXPECT_EQ(back.vertices[1].priority, 3);
  EXPECT_EQ(back.edges[0].target, 1u);
  EXPECT_EQ(back.edges[0].pattern, DistributionPattern::kPointwise);
  ASSERT_TRUE(back.restart_strategy);
  EXPECT_EQ(back.restart_strategy->type, RestartStrategyConfig::Type::kFixedDelay);
  EXPECT_EQ(back.restart_strategy->attempts, 4u);
  EXPECT_EQ(back.restart_strategy->delay, std::chrono::seconds(2));
  EXPECT_EQ(ToStored(back), ToStored(graph));
}

TEST(JobGraphStoredTest, AGraphWithoutARestartStrategyStaysOne) {
  JobGraph graph = FullGraph();
  graph.restart_strategy.reset();
  EXPECT_FALSE((*FromStored(ToStored(graph)))->restart_strategy);
}

TEST(JobGraphStoredTest, WhatIsNoValidGraphIsDataLoss) {
  EXPECT_EQ(FromStored("").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(FromStored("no protobuf").status().code(), absl::StatusCode::kDataLoss);
  JobGraph graph = FullGraph();
  graph.edges[0].target = 2;
  EXPECT_EQ(CodeOf(graph), absl::StatusCode::kDataLoss);
  graph = FullGraph();
  graph.edges.push_back({.source = 1, .target = 0});
  EXPECT_EQ(CodeOf(graph), absl::StatusCode::kDataLoss);
  graph = FullGraph();
  graph.vertices[1].parallelism = 0;
  EXPECT_EQ(CodeOf(graph), absl::StatusCode::kDataLoss);
  graph = FullGraph();
  graph.vertices[1].id = "split";
  EXPECT_EQ(CodeOf(graph), absl::StatusCode::kDataLoss);
}

TEST(JobGraphStoredTest, AGraphOverTheLimitsOfTodayIsStillRead) {
  JobGraph graph = FullGraph();
  graph.vertices[0].parallelism = JobLimits().max_parallelism + 1;
  EXPECT_EQ(CodeOf(graph), absl::StatusCode::kOk);
}

// It would take 100 GB when it is loaded, and the leader with it.
TEST(JobGraphStoredTest, AGraphThatNoConfigurationAcceptsIsRefused) {
  JobGraph graph = FullGraph();
  graph.vertices[0].parallelism = UINT32_MAX;
  EXPECT_EQ(CodeOf(graph), absl::StatusCode::kDataLoss);
  EXPECT_EQ(options::kMaxVertices.most, std::to_string(kGreatestJobLimits.max_vertices));
  EXPECT_EQ(options::kMaxEdges.most, std::to_string(kGreatestJobLimits.max_edges));
  EXPECT_EQ(options::kMaxParallelism.most, std::to_string(kGreatestJobLimits.max_parallelism));
  EXPECT_EQ(options::kMaxSubtasks.most, std::to_string(kGreatestJobLimits.max_subtasks));
}

TEST(JobGraphStoredTest, AValueOfANewerVersionIsNotGuessed) {
  pb::JobGraph stored;
  ASSERT_TRUE(stored.ParseFromString(ToStored(FullGraph())));
  stored.mutable_edges(0)->set_pattern(static_cast<pb::DistributionPattern>(7));
  EXPECT_EQ(FromStored(stored.SerializeAsString()).status().code(), absl::StatusCode::kDataLoss);
}

// A flipped bit is found by the blob's digest before it comes here; if not, it must not harm.
TEST(JobGraphStoredTest, DamagedBytesNeverCrash) {
  google::protobuf::SetLogHandler(nullptr);  // a line for each string that is no UTF-8
  const std::string good = ToStored(FullGraph());
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good;
    for (int flips = 0; flips <= i % 3; ++flips) {
      bytes[random() % bytes.size()] ^= static_cast<char>(1u << random() % 8);
    }
    bytes.resize(random() % 4 == 0 ? random() % bytes.size() : bytes.size());
    const auto read = FromStored(bytes);
    EXPECT_TRUE(read.ok() || read.status().code() == absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace baton
