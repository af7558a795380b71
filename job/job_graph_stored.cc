// The stored form of a JobGraph: protobuf, deterministic, because the bytes are content-addressed.

#include <limits>

#include "base/status.h"
#include "base/suggest.h"
#include "job/graph_checks.h"
#include "job/job_graph.h"
#include "job/job_graph.pb.h"

namespace baton {
namespace {

// Beyond it the conversion to nanoseconds would overflow; no accepted graph comes near.
constexpr uint64_t kMaxStoredMillis = uint64_t{100'000} * 24 * 3600 * 1000;

void VertexToStored(const JobVertex& vertex, pb::JobVertex* stored) {
  stored->set_id(vertex.id);
  stored->set_name(vertex.name);
  stored->set_parallelism(vertex.parallelism);
  for (const std::string& argument : vertex.command) stored->add_command(argument);
  for (const auto& [name, value] : vertex.env) {
    auto* variable = stored->add_env();
    variable->set_name(name);
    variable->set_value(value);
  }
  stored->set_timeout_ms(static_cast<uint64_t>(ToMillis(vertex.timeout)));
  stored->set_priority(vertex.priority);
}

JobVertex VertexFromStored(const pb::JobVertex& stored) {
  JobVertex vertex;
  vertex.id = stored.id();
  vertex.name = stored.name();
  vertex.parallelism = stored.parallelism();
  vertex.command.assign(stored.command().begin(), stored.command().end());
  for (const auto& variable : stored.env())
    vertex.env.emplace_back(variable.name(), variable.value());
  vertex.timeout = std::chrono::milliseconds(std::min(stored.timeout_ms(), kMaxStoredMillis));
  vertex.priority = stored.priority();
  return vertex;
}

void RestartToStored(const RestartStrategyConfig& restart, pb::RestartStrategy* stored) {
  const bool fixed = restart.type == RestartStrategyConfig::Type::kFixedDelay;
  stored->set_type(fixed ? pb::RestartStrategy::FIXED_DELAY : pb::RestartStrategy::NONE);
  stored->set_attempts(restart.attempts);
  stored->set_delay_ms(static_cast<uint64_t>(ToMillis(restart.delay)));
}

std::optional<RestartStrategyConfig> RestartFromStored(const pb::RestartStrategy& stored) {
  if (stored.type() == pb::RestartStrategy::UNSET) return std::nullopt;
  RestartStrategyConfig restart;
  restart.type = stored.type() == pb::RestartStrategy::FIXED_DELAY
                     ? RestartStrategyConfig::Type::kFixedDelay
                     : RestartStrategyConfig::Type::kNone;
  restart.attempts = stored.attempts();
  restart.delay = std::chrono::milliseconds(std::min(stored.delay_ms(), kMaxStoredMillis));
  return restart;
}

// An enum value that this version does not know was written by a newer one: to guess its meaning
// would run the job wrongly.
bool KnowsEnums(const pb::JobGraph& stored) {
  for (const auto& edge : stored.edges()) {
    if (!pb::DistributionPattern_IsValid(edge.pattern())) return false;
  }
  return pb::RestartStrategy::Type_IsValid(stored.restart_strategy().type());
}

}  // namespace

std::string ToStored(const JobGraph& graph) {
  pb::JobGraph stored;
  stored.set_name(graph.name);
  stored.set_priority(graph.priority);
  for (const JobVertex& vertex : graph.vertices) VertexToStored(vertex, stored.add_vertices());
  for (const JobEdge& edge : graph.edges) {
    auto* added = stored.add_edges();
    added->set_source(edge.source);
    added->set_target(edge.target);
    added->set_pattern(edge.pattern == DistributionPattern::kPointwise ? pb::POINTWISE
                                                                       : pb::ALL_TO_ALL);
  }
  if (graph.restart_strategy) {
    RestartToStored(*graph.restart_strategy, stored.mutable_restart_strategy());
  }
  return stored.SerializeAsString();  // no maps, so one graph has one form
}

absl::StatusOr<JobGraphPtr> FromStored(std::string_view bytes) {
  pb::JobGraph stored;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !stored.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("the stored bytes are no job graph");
  }
  if (!KnowsEnums(stored)) return DataLoss("the stored job graph is of a newer version");
  auto graph = std::make_shared<JobGraph>();
  graph->name = stored.name();
  graph->priority = stored.priority();
  for (const auto& vertex : stored.vertices()) graph->vertices.push_back(VertexFromStored(vertex));
  for (const auto& edge : stored.edges()) {
    if (std::max(edge.source(), edge.target()) >= graph->vertices.size()) {
      return DataLoss("the stored job graph has an edge to a vertex that it lacks");
    }
    graph->edges.push_back({edge.source(), edge.target(),
                            edge.pattern() == pb::POINTWISE ? DistributionPattern::kPointwise
                                                            : DistributionPattern::kAllToAll});
  }
  graph->restart_strategy = RestartFromStored(stored.restart_strategy());
  // What was accepted once stays readable when an operator lowers the limits.
  ProblemList problems(1);
  CheckGraph(*graph, kGreatestJobLimits, &problems);
  if (!problems.empty()) {
    return DataLoss("the stored job graph is not valid: {}", problems.Take().front());
  }
  return graph;
}

}  // namespace baton
