// A job as a simulation knows it: what is submitted, how its processes behave, and what may start
// when (computed here on its own, not by the code under test).

#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace baton {

struct SimulatedJob {
  struct Vertex {
    uint32_t parallelism = 1;
    std::optional<Duration> runs_for = std::chrono::milliseconds(100);  // none: until it is ended
    uint32_t failures = 0;  // so many attempts of each subtask exit with 1
  };
  struct Edge {
    uint32_t source = 0;
    uint32_t target = 0;
    bool pointwise = false;
  };

  JobId id;
  std::string name = "job";
  std::vector<Vertex> vertices;
  std::vector<Edge> edges;
  uint32_t restart_attempts = 0;
  Duration restart_delay = std::chrono::milliseconds(500);

  static SimulatedJob Single(Random& random, Duration runs_for, uint32_t parallelism = 1) {
    SimulatedJob job;
    job.id = random.NewJobId();
    job.vertices = {{parallelism, runs_for}};
    return job;
  }

  // split → (all to all) count → (pointwise) store
  static SimulatedJob Diamond(Random& random, Duration runs_for) {
    SimulatedJob job;
    job.id = random.NewJobId();
    job.vertices = {{2, runs_for}, {3, runs_for}, {6, runs_for}, {1, runs_for}};
    job.edges = {{0, 1, false}, {1, 2, true}, {0, 3, false}, {2, 3, false}};
    return job;
  }

  std::string Json() const {
    std::vector<std::string> vertex_texts, edge_texts;
    for (size_t v = 0; v < vertices.size(); ++v) {
      vertex_texts.push_back(
          fmt::format(R"({{"id": "v{}", "parallelism": {}, "command": ["run", "{{subtask}}"]}})", v,
                      vertices[v].parallelism));
    }
    for (const Edge& edge : edges) {
      edge_texts.push_back(fmt::format(
          R"({{"source": "v{}", "target": "v{}", "exchange": "none", "pattern": "{}"}})",
          edge.source, edge.target, edge.pointwise ? "pointwise" : "all-to-all"));
    }
    const std::string restart =
        restart_attempts == 0
            ? R"({"type": "none"})"
            : fmt::format(R"({{"type": "fixed-delay", "attempts": {}, "delay": "{} ms"}})",
                          restart_attempts, ToMillis(restart_delay));
    return fmt::format(
        R"({{"name": "{}", "vertices": [{}], "edges": [{}], "restartStrategy": {}}})", name,
        fmt::join(vertex_texts, ", "), fmt::join(edge_texts, ", "), restart);
  }

  uint32_t TotalSubtasks() const {
    uint32_t total = 0;
    for (const Vertex& vertex : vertices) total += vertex.parallelism;
    return total;
  }

  // The subtasks (vertex, subtask) that must have succeeded before this one may start.
  std::vector<std::pair<uint32_t, uint32_t>> InputsOf(uint32_t vertex, uint32_t subtask) const {
    std::vector<std::pair<uint32_t, uint32_t>> inputs;
    for (const Edge& edge : edges) {
      if (edge.target != vertex) continue;
      const uint32_t sources = vertices[edge.source].parallelism;
      const uint32_t targets = vertices[vertex].parallelism;
      uint32_t begin = 0, end = sources;
      if (edge.pointwise && sources < targets) {
        begin = subtask * sources / targets;
        end = begin + 1;
      } else if (edge.pointwise) {
        begin = subtask * sources / targets;
        end = (subtask + 1) * sources / targets;
      }
      for (uint32_t s = begin; s < end; ++s) inputs.emplace_back(edge.source, s);
    }
    return inputs;
  }
};

}  // namespace baton
