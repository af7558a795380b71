// What users write (docs/protocols.md, 5.2), read into a JobGraph.

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "base/digest.h"
#include "base/suggest.h"
#include "job/graph_checks.h"
#include "job/job_graph.h"
#include "job/json_document.h"
#include "job/json_fields.h"
#include "job/problems.h"

namespace baton {
namespace {

constexpr int64_t kMaxRestartAttempts = 1'000'000'000;

constexpr auto kRequired = JsonFields::Presence::kRequired;

class SubmissionReader {
 public:
  SubmissionReader(const JobLimits& limits, ProblemList* problems)
      : limits_(limits), problems_(problems) {}

  std::shared_ptr<JobGraph> Read(const JsonValue& document);
  const std::optional<JobId>& job_id() const { return job_id_; }

 private:
  void ReadJobId(JsonFields& fields);
  void ReadVertices(JsonFields& fields);
  JobVertex ReadVertex(const JsonValue& json, const Place& place);
  void ReadCommand(JsonFields& fields, const Place& place, JobVertex* vertex);
  void ReadEnvironment(JsonFields& fields, const Place& place, JobVertex* vertex);
  void ReadEdges(JsonFields& fields);
  void ReadEdge(const JsonValue& json, const Place& place);
  std::optional<uint32_t> ReadEnd(JsonFields& fields, std::string_view name, const Place& place);
  void ReadRestartStrategy(JsonFields& fields);

  // A field of which only one value is honoured so far; of the `reserved` ones it is said that they
  // will be.
  void ReadReserved(JsonFields& fields, std::string_view name, std::string_view honoured,
                    std::vector<std::string_view> reserved, const Place& place);
  // A field that may be there as long as it is empty.
  template <class Container>
  void RefuseUnlessEmpty(const Container* container, std::string_view name, const Place& place) {
    if (container != nullptr && !container->empty()) {
      problems_->Add(place.At(name), "not supported yet");
    }
  }

  const JobLimits& limits_;
  ProblemList* const problems_;
  std::shared_ptr<JobGraph> graph_ = std::make_shared<JobGraph>();
  std::optional<JobId> job_id_;
  absl::flat_hash_map<std::string, uint32_t> vertex_of_id_;
};

std::shared_ptr<JobGraph> SubmissionReader::Read(const JsonValue& document) {
  const Place root;
  JsonFields fields(document, root, problems_);
  if (document.As<JsonObject>() == nullptr) return nullptr;
  if (const auto* name = fields.String("name", kRequired)) graph_->name = *name;
  ReadJobId(fields);
  const auto priority = fields.Integer("priority", -kMaxPriority, kMaxPriority);
  graph_->priority = static_cast<int32_t>(priority.value_or(0));
  ReadReserved(fields, "schedulingStrategy", "lazy", {"eager"}, root);
  ReadVertices(fields);
  ReadEdges(fields);
  ReadRestartStrategy(fields);
  fields.RefuseUnknown();
  CheckGraph(*graph_, limits_, problems_);
  return graph_;
}

void SubmissionReader::ReadJobId(JsonFields& fields) {
  const auto* text = fields.String("jobid");
  if (text == nullptr) return;
  const auto id = JobId::Parse(*text);
  if (!id.ok() || *id == JobId()) {
    problems_->Add("jobid", "must be 32 hex digits, not all zero");
  } else {
    job_id_ = *id;
  }
}

void SubmissionReader::ReadVertices(JsonFields& fields) {
  const Place root;
  const Place place = root.At("vertices");
  const auto* vertices = fields.Array("vertices", kRequired);
  if (vertices == nullptr) return;
  if (vertices->size() > limits_.max_vertices) {
    problems_->Add(place, "has {} vertices; at most {}", vertices->size(), limits_.max_vertices);
    return;
  }
  graph_->vertices.reserve(vertices->size());
  for (size_t i = 0; i < vertices->size() && !problems_->full(); ++i) {
    graph_->vertices.push_back(ReadVertex((*vertices)[i], place.At(i)));
    vertex_of_id_.emplace(graph_->vertices.back().id, static_cast<uint32_t>(i));
  }
}

JobVertex SubmissionReader::ReadVertex(const JsonValue& json, const Place& place) {
  JobVertex vertex;
  JsonFields fields(json, place, problems_);
  if (const auto* id = fields.String("id", kRequired)) vertex.id = *id;
  const auto* name = fields.String("name");
  vertex.name = name != nullptr ? *name : vertex.id;
  const auto parallelism = fields.Integer("parallelism", 1, limits_.max_parallelism);
  vertex.parallelism = static_cast<uint32_t>(parallelism.value_or(1));
  const auto priority = fields.Integer("priority", -kMaxPriority, kMaxPriority);
  vertex.priority = static_cast<int32_t>(priority.value_or(0));
  vertex.timeout =
      fields.Millis("timeout", std::chrono::milliseconds(1)).value_or(Duration::zero());
  ReadCommand(fields, place.At("command"), &vertex);
  ReadEnvironment(fields, place.At("env"), &vertex);
  ReadReserved(fields, "slotSharingGroup", "default", {}, place);
  RefuseUnlessEmpty(fields.Array("artifacts"), "artifacts", place);
  RefuseUnlessEmpty(fields.Object("resources"), "resources", place);
  RefuseUnlessEmpty(fields.Object("labels"), "labels", place);
  fields.RefuseUnknown();
  return vertex;
}

void SubmissionReader::ReadCommand(JsonFields& fields, const Place& place, JobVertex* vertex) {
  const auto* command = fields.Array("command", kRequired);
  if (command == nullptr) return;
  for (size_t i = 0; i < command->size(); ++i) {
    const auto* argument = (*command)[i].As<std::string>();
    if (argument == nullptr) problems_->Add(place.At(i), "must be a string");
    vertex->command.push_back(argument != nullptr ? *argument : "");
  }
}

void SubmissionReader::ReadEnvironment(JsonFields& fields, const Place& place, JobVertex* vertex) {
  const auto* env = fields.Object("env");
  if (env == nullptr) return;
  for (const auto& [name, value] : *env) {
    const auto* text = value.As<std::string>();
    if (text == nullptr) {
      const std::string quoted = Quoted(name);
      const std::string shown = quoted.substr(1, quoted.size() - 2);
      problems_->Add(place.At(shown), "must be a string");
    } else {
      vertex->env.emplace_back(name, *text);
    }
  }
  std::sort(vertex->env.begin(), vertex->env.end());
}

void SubmissionReader::ReadEdges(JsonFields& fields) {
  const Place root;
  const Place place = root.At("edges");
  const auto* edges = fields.Array("edges");
  if (edges == nullptr) return;
  if (edges->size() > limits_.max_edges) {
    problems_->Add(place, "has {} edges; at most {}", edges->size(), limits_.max_edges);
    return;
  }
  graph_->edges.reserve(edges->size());
  for (size_t i = 0; i < edges->size() && !problems_->full(); ++i) {
    ReadEdge((*edges)[i], place.At(i));
  }
}

void SubmissionReader::ReadEdge(const JsonValue& json, const Place& place) {
  JsonFields fields(json, place, problems_);
  const auto source = ReadEnd(fields, "source", place);
  const auto target = ReadEnd(fields, "target", place);
  ReadReserved(fields, "exchange", "none", {"blocking", "pipelined"}, place);
  JobEdge edge;
  if (const auto* pattern = fields.String("pattern")) {
    if (*pattern == "pointwise") {
      edge.pattern = DistributionPattern::kPointwise;
    } else if (*pattern != "all-to-all") {
      problems_->Add(place.At("pattern"), "must be \"all-to-all\" or \"pointwise\"");
    }
  }
  fields.RefuseUnknown();
  // An edge that cannot be resolved stays as one without ends: the others keep their places.
  constexpr uint32_t kNoVertex = std::numeric_limits<uint32_t>::max();
  edge.source = source.value_or(kNoVertex);
  edge.target = target.value_or(kNoVertex);
  graph_->edges.push_back(edge);
}

std::optional<uint32_t> SubmissionReader::ReadEnd(JsonFields& fields, std::string_view name,
                                                  const Place& place) {
  const auto* id = fields.String(name, kRequired);
  if (id == nullptr) return std::nullopt;
  const auto it = vertex_of_id_.find(*id);
  if (it != vertex_of_id_.end()) return it->second;
  problems_->Add(place.At(name), "no vertex has the id {}", Quoted(*id));
  return std::nullopt;
}

void SubmissionReader::ReadRestartStrategy(JsonFields& fields) {
  const JsonValue* json = fields.Any("restartStrategy");
  if (json == nullptr) return;
  const Place root;
  const Place place = root.At("restartStrategy");
  JsonFields own(*json, place, problems_);
  RestartStrategyConfig restart;
  const auto* type = own.String("type", kRequired);
  if (type != nullptr && *type == "fixed-delay") {
    restart.type = RestartStrategyConfig::Type::kFixedDelay;
    const auto attempts = own.Integer("attempts", 0, kMaxRestartAttempts);
    restart.attempts = static_cast<uint32_t>(attempts.value_or(restart.attempts));
    restart.delay = own.Millis("delay", Duration::zero()).value_or(restart.delay);
    own.RefuseUnknown();
  } else if (type != nullptr && *type == "none") {
    own.RefuseUnknown();
  } else if (type != nullptr && (*type == "failure-rate" || *type == "exponential-delay")) {
    problems_->Add(place.At("type"), "{} is not supported yet", Quoted(*type));
  } else if (type != nullptr) {
    problems_->Add(place.At("type"), "must be \"none\" or \"fixed-delay\"");
  }
  graph_->restart_strategy = restart;
}

void SubmissionReader::ReadReserved(JsonFields& fields, std::string_view name,
                                    std::string_view honoured,
                                    std::vector<std::string_view> reserved, const Place& place) {
  const auto* value = fields.String(name);
  if (value == nullptr || *value == honoured) return;
  if (reserved.empty() || std::find(reserved.begin(), reserved.end(), *value) != reserved.end()) {
    problems_->Add(place.At(name), "{} is not supported yet; use \"{}\"", Quoted(*value), honoured);
  } else {
    problems_->Add(place.At(name), "must be \"{}\"", honoured);
  }
}

}  // namespace

std::optional<ParsedSubmission> ParseJobGraphJson(std::string_view json, const JobLimits& limits,
                                                  JobProblems* problems) {
  ProblemList list(limits.max_problems);
  std::optional<ParsedSubmission> parsed;
  if (const auto document = ReadJson(json, JsonBounds(), &list)) {
    SubmissionReader reader(limits, &list);
    auto graph = reader.Read(*document);
    if (list.empty()) {
      parsed = ParsedSubmission{std::move(graph), reader.job_id(),
                                Sha256Hex(CanonicalJson(*document, "jobid"))};
    }
  }
  problems->problems = list.Take();
  return parsed;
}

}  // namespace baton
