// What a user submits: a graph of vertices, each run as `parallelism` subtasks (Flink's JobGraph).
//
// A JobGraph that exists is valid: names set, parallelism in range, edges between its own vertices,
// no cycle. Immutable; safe from any thread.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/time.h"

namespace baton {

enum class DistributionPattern { kAllToAll, kPointwise };

struct JobVertex {
  std::string id;
  std::string name;
  uint32_t parallelism = 1;
  std::vector<std::string> command;  // "{subtask}" and "{parallelism}" are replaced at the start
  std::vector<std::pair<std::string, std::string>> env;  // sorted by name
  Duration timeout = Duration::zero();                   // zero: none
  int32_t priority = 0;                                  // within the job; higher first
};

// `exchange: none`: a target subtask may start once the sources that its pattern names have
// finished.
struct JobEdge {
  uint32_t source = 0;  // index of the vertex
  uint32_t target = 0;
  DistributionPattern pattern = DistributionPattern::kAllToAll;
};

struct RestartStrategyConfig {
  enum class Type { kNone, kFixedDelay };
  Type type = Type::kNone;
  uint32_t attempts = 1;
  Duration delay = std::chrono::seconds(1);
};

// What a submission may ask for.
struct JobLimits {
  size_t max_vertices = 10'000;
  size_t max_edges = 200'000;
  uint32_t max_parallelism = 100'000;
  uint64_t max_subtasks = 1'000'000;  // of one job
  size_t max_problems = 100;          // reported at once
};

// The most that any configuration accepts (job.max-*): a stored graph beyond it was damaged or made
// by somebody else, and would take more memory than there is.
inline constexpr JobLimits kGreatestJobLimits = {.max_vertices = 1'000'000,
                                                 .max_edges = 10'000'000,
                                                 .max_parallelism = 10'000'000,
                                                 .max_subtasks = 10'000'000};

struct JobGraph {
  std::string name;
  int32_t priority = 0;
  std::vector<JobVertex> vertices;
  std::vector<JobEdge> edges;
  std::optional<RestartStrategyConfig> restart_strategy;  // none: the cluster's default

  uint64_t TotalSubtasks() const;
  std::optional<uint32_t> FindVertex(std::string_view id) const;
};

using JobGraphPtr = std::shared_ptr<const JobGraph>;

// A submission as read from JSON (docs/protocols.md, 5.2).
struct ParsedSubmission {
  JobGraphPtr graph;
  std::optional<JobId> job_id;  // the "jobid" field
  std::string digest;           // SHA-256 hex of the canonical JSON: sorted keys, without "jobid"
};

// Every problem of the text, each with its place ("vertices[3].parallelism: must be 1..100000").
struct JobProblems {
  std::vector<std::string> problems;
};

// Reads and checks a submission; on failure `problems` holds at least one entry and the result is
// empty. Bounded in time and memory by the text's size and `limits`.
std::optional<ParsedSubmission> ParseJobGraphJson(std::string_view json, const JobLimits& limits,
                                                  JobProblems* problems);

// The stored form. Deterministic bytes. FromStored returns kDataLoss for what is no valid JobGraph.
std::string ToStored(const JobGraph& graph);
absl::StatusOr<JobGraphPtr> FromStored(std::string_view bytes);

}  // namespace baton
