#include "job/graph_checks.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "base/suggest.h"
#include "base/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace baton {
namespace {

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMaxIdBytes = 128;
// What Linux takes for one argument (MAX_ARG_STRLEN) and, with room to spare, for all of them.
constexpr size_t kMaxArgumentBytes = (128 << 10) - 1;
constexpr size_t kMaxStartBytes = 1 << 20;
constexpr size_t kMaxShownOfCycle = 20;

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool HasControl(std::string_view text) { return std::any_of(text.begin(), text.end(), IsControl); }
bool HasNul(std::string_view text) { return text.find('\0') != text.npos; }

bool IsIdCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("_.:-+").find(c) != std::string_view::npos;
}

void CheckName(const std::string& name, const Place& place, ProblemList* problems) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    problems->Add(place, "must be 1..{} bytes long", kMaxNameBytes);
  } else if (HasControl(name)) {
    problems->Add(place, "must not contain control characters");
  }
}

void CheckPriority(int32_t priority, const Place& place, ProblemList* problems) {
  if (priority < -kMaxPriority || priority > kMaxPriority) {
    problems->Add(place, "must be {}..{}", -kMaxPriority, kMaxPriority);
  }
}

void CheckCommand(const JobVertex& vertex, const Place& place, ProblemList* problems) {
  if (vertex.command.empty()) {
    problems->Add(place, "must not be empty: the program and its arguments");
    return;
  }
  if (vertex.command[0].empty()) problems->Add(place.At(0), "must name a program");
  if (HasControl(vertex.command[0])) {
    problems->Add(place.At(0), "must not contain control characters");
  }
  for (size_t i = 0; i < vertex.command.size(); ++i) {
    const std::string& argument = vertex.command[i];
    if (HasNul(argument)) problems->Add(place.At(i), "must not contain a NUL byte");
    if (argument.size() > kMaxArgumentBytes) {
      problems->Add(place.At(i), "has {} bytes; at most {}", argument.size(), kMaxArgumentBytes);
    }
  }
}

void CheckEnvironment(const JobVertex& vertex, const Place& place, ProblemList* problems) {
  for (const auto& [name, value] : vertex.env) {
    const std::string quoted = Quoted(name);
    const std::string shown = quoted.substr(1, quoted.size() - 2);
    if (name.empty() || HasControl(name) || name.find('=') != name.npos) {
      problems->Add(place.At(shown),
                    "is no name of a variable: it must not be empty nor contain '=' or control "
                    "characters");
    } else if (name.starts_with("BATON_")) {
      problems->Add(place.At(shown), "names that begin with BATON_ are set by Baton");
    } else if (HasNul(value)) {
      problems->Add(place.At(shown), "must not contain a NUL byte");
    } else if (name.size() + 1 + value.size() > kMaxArgumentBytes) {
      problems->Add(place.At(shown), "name and value have {} bytes; at most {}",
                    name.size() + 1 + value.size(), kMaxArgumentBytes);
    }
  }
}

// The kernel refuses to start a program whose arguments and environment are too large together.
void CheckStartSize(const JobVertex& vertex, const Place& place, ProblemList* problems) {
  size_t bytes = 0;
  for (const auto& argument : vertex.command) bytes += argument.size() + 1 + sizeof(char*);
  for (const auto& [name, value] : vertex.env) {
    bytes += name.size() + value.size() + 2 + sizeof(char*);
  }
  if (bytes > kMaxStartBytes) {
    problems->Add(place, "command and env take {} bytes together; at most {}", bytes,
                  kMaxStartBytes);
  }
}

void CheckVertex(const JobVertex& vertex, const Place& place, const JobLimits& limits,
                 ProblemList* problems) {
  const std::string& id = vertex.id;
  if (id.empty() || id.size() > kMaxIdBytes || !std::all_of(id.begin(), id.end(), IsIdCharacter)) {
    problems->Add(place.At("id"), "must be 1..{} characters of A-Z a-z 0-9 _ . : - +", kMaxIdBytes);
  }
  if (vertex.name != id) CheckName(vertex.name, place.At("name"), problems);
  if (vertex.parallelism < 1 || vertex.parallelism > limits.max_parallelism) {
    problems->Add(place.At("parallelism"), "must be 1..{}", limits.max_parallelism);
  }
  CheckPriority(vertex.priority, place.At("priority"), problems);
  CheckCommand(vertex, place.At("command"), problems);
  CheckEnvironment(vertex, place.At("env"), problems);
  CheckStartSize(vertex, place, problems);
}

void CheckVertices(const JobGraph& graph, const JobLimits& limits, ProblemList* problems) {
  const Place root;
  const Place vertices = root.At("vertices");
  if (graph.vertices.empty()) problems->Add(vertices, "must not be empty");
  if (graph.vertices.size() > limits.max_vertices) {
    problems->Add(vertices, "has {} vertices; at most {}", graph.vertices.size(),
                  limits.max_vertices);
    return;
  }
  absl::flat_hash_map<std::string, size_t> first_with_id;
  for (size_t i = 0; i < graph.vertices.size() && !problems->full(); ++i) {
    const Place place = vertices.At(i);
    CheckVertex(graph.vertices[i], place, limits, problems);
    const auto [it, added] = first_with_id.emplace(graph.vertices[i].id, i);
    if (!added) {
      problems->Add(place.At("id"), "{} is the id of vertices[{}] already",
                    Quoted(graph.vertices[i].id), it->second);
    }
  }
  if (graph.TotalSubtasks() > limits.max_subtasks) {
    problems->Add(vertices, "have {} subtasks together; at most {}", graph.TotalSubtasks(),
                  limits.max_subtasks);
  }
}

bool IsWithin(const JobEdge& edge, const JobGraph& graph) {
  return std::max(edge.source, edge.target) < graph.vertices.size();
}

void CheckEdges(const JobGraph& graph, const JobLimits& limits, ProblemList* problems) {
  const Place root;
  const Place edges = root.At("edges");
  if (graph.edges.size() > limits.max_edges) {
    problems->Add(edges, "has {} edges; at most {}", graph.edges.size(), limits.max_edges);
    return;
  }
  absl::flat_hash_map<std::pair<uint32_t, uint32_t>, size_t> first_between;
  for (size_t i = 0; i < graph.edges.size() && !problems->full(); ++i) {
    const JobEdge& edge = graph.edges[i];
    if (!IsWithin(edge, graph)) continue;
    const auto [it, added] = first_between.emplace(std::pair(edge.source, edge.target), i);
    if (edge.source == edge.target) {
      problems->Add(edges.At(i), "leads from {} to itself", Quoted(graph.vertices[edge.source].id));
    } else if (!added) {
      problems->Add(edges.At(i), "joins the same vertices as edges[{}]", it->second);
    }
  }
}

void CheckAcyclic(const JobGraph& graph, ProblemList* problems) {
  const std::vector<uint32_t> cycle = FindCycle(graph);
  if (cycle.empty()) return;
  std::vector<std::string_view> ids;
  for (size_t i = 0; i < cycle.size(); ++i) {
    if (i == kMaxShownOfCycle && cycle.size() > kMaxShownOfCycle + 1) {
      ids.push_back("...");
      i = cycle.size() - 1;
    }
    ids.push_back(graph.vertices[cycle[i]].id);
  }
  problems->Add("edges", "cycle {}", fmt::join(ids, " -> "));
}

// Depth first, with a stack of its own: a chain of vertices may be as long as the limit allows.
class CycleFinder {
 public:
  explicit CycleFinder(const JobGraph& graph)
      : targets_(graph.vertices.size()), color_(graph.vertices.size(), Color::kUnseen) {
    for (const JobEdge& edge : graph.edges) {
      if (IsWithin(edge, graph) && edge.source != edge.target) {
        targets_[edge.source].push_back(edge.target);
      }
    }
  }

  std::vector<uint32_t> Find() {
    for (uint32_t start = 0; start < targets_.size(); ++start) {
      if (color_[start] != Color::kUnseen) continue;
      if (auto cycle = FindFrom(start); !cycle.empty()) return cycle;
    }
    return {};
  }

 private:
  enum class Color : uint8_t { kUnseen, kOnPath, kDone };
  struct Step {
    uint32_t vertex;
    size_t next_target;
  };

  std::vector<uint32_t> FindFrom(uint32_t start) {
    std::vector<Step> path = {{start, 0}};
    color_[start] = Color::kOnPath;
    while (!path.empty()) {
      Step& step = path.back();
      if (step.next_target == targets_[step.vertex].size()) {
        color_[step.vertex] = Color::kDone;
        path.pop_back();
        continue;
      }
      const uint32_t target = targets_[step.vertex][step.next_target++];
      if (color_[target] == Color::kOnPath) return CloseCycle(path, target);
      if (color_[target] == Color::kDone) continue;
      color_[target] = Color::kOnPath;
      path.push_back({target, 0});
    }
    return {};
  }

  static std::vector<uint32_t> CloseCycle(const std::vector<Step>& path, uint32_t target) {
    auto it = std::find_if(path.begin(), path.end(),
                           [target](const Step& step) { return step.vertex == target; });
    std::vector<uint32_t> cycle;
    for (; it != path.end(); ++it) cycle.push_back(it->vertex);
    cycle.push_back(target);
    return cycle;
  }

  std::vector<std::vector<uint32_t>> targets_;
  std::vector<Color> color_;
};

void CheckRestartStrategy(const JobGraph& graph, ProblemList* problems) {
  if (graph.restart_strategy && graph.restart_strategy->delay < Duration::zero()) {
    problems->Add("restartStrategy.delay", "must not be negative");
  }
}

}  // namespace

std::vector<uint32_t> FindCycle(const JobGraph& graph) { return CycleFinder(graph).Find(); }

void CheckGraph(const JobGraph& graph, const JobLimits& limits, ProblemList* problems) {
  const Place root;
  CheckName(graph.name, root.At("name"), problems);
  CheckPriority(graph.priority, root.At("priority"), problems);
  CheckVertices(graph, limits, problems);
  CheckEdges(graph, limits, problems);
  CheckAcyclic(graph, problems);
  CheckRestartStrategy(graph, problems);
}

}  // namespace baton
