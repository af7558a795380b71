// Job graphs in a line.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "job/job_graph.h"

namespace baton {

inline JobVertex Vertex(const std::string& id, uint32_t parallelism = 1) {
  JobVertex vertex;
  vertex.id = vertex.name = id;
  vertex.parallelism = parallelism;
  vertex.command = {"true"};
  return vertex;
}

inline JobGraphPtr Graph(std::vector<JobVertex> vertices, std::vector<JobEdge> edges = {},
                         RestartStrategyConfig restarts = {}) {
  auto graph = std::make_shared<JobGraph>();
  graph->name = "test";
  graph->vertices = std::move(vertices);
  graph->edges = std::move(edges);
  graph->restart_strategy = restarts;
  return graph;
}

inline RestartStrategyConfig FixedDelay(uint32_t attempts, Duration delay) {
  return {RestartStrategyConfig::Type::kFixedDelay, attempts, delay};
}

}  // namespace baton
