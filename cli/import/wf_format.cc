#include "cli/import/wf_format.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

using Json = nlohmann::json;

constexpr const char* kSpecification = "workflow.specification.tasks";
constexpr const char* kExecution = "workflow.execution.tasks";

// Reads the parts of one file; the first problem ends it.
class Reader {
 public:
  absl::StatusOr<Workflow> Read(const Json& root) {
    for (const auto& step : {&Reader::ReadHead, &Reader::ReadTasks, &Reader::ReadEdges,
                             &Reader::ReadRuntimes, &Reader::CheckAcyclic}) {
      if (auto status = (this->*step)(root); !status.ok()) return status;
    }
    return std::move(workflow_);
  }

 private:
  absl::Status ReadHead(const Json& root) {
    if (!root.is_object()) return InvalidArgument("the file holds no JSON object");
    const auto version = root.find("schemaVersion");
    if (version == root.end() || !version->is_string()) {
      return InvalidArgument("schemaVersion: missing; only WfFormat 1.5 is read");
    }
    if (*version != "1.5") {
      return InvalidArgument("schemaVersion: {} is not supported; only WfFormat 1.5 is read",
                             version->get<std::string>());
    }
    const auto name = root.find("name");
    workflow_.name =
        name != root.end() && name->is_string() ? name->get<std::string>() : "workflow";
    return absl::OkStatus();
  }

  static absl::StatusOr<const Json*> TaskList(const Json& root, const char* part) {
    const Json* at = &root;
    std::string place;
    for (const char* key : {"workflow", part, "tasks"}) {
      place += (place.empty() ? "" : ".") + std::string(key);
      if (!at->is_object() || !at->contains(key)) return InvalidArgument("{}: missing", place);
      at = &at->at(key);
    }
    if (!at->is_array()) return InvalidArgument("{}: must be a list", place);
    return at;
  }

  static absl::StatusOr<std::string> Id(const Json& task, const std::string& place) {
    if (!task.is_object()) return InvalidArgument("{}: must be an object", place);
    const auto id = task.find("id");
    if (id == task.end() || !id->is_string() || id->get_ref<const std::string&>().empty()) {
      return InvalidArgument("{}.id: must be a text that is not empty", place);
    }
    return id->get<std::string>();
  }

  absl::Status ReadTasks(const Json& root) {
    auto list = TaskList(root, "specification");
    if (!list.ok()) return list.status();
    if ((*list)->empty()) return InvalidArgument("{}: no tasks", kSpecification);
    for (size_t i = 0; i < (*list)->size(); ++i) {
      const Json& task = (**list)[i];
      const std::string place = fmt::format("{}[{}]", kSpecification, i);
      auto id = Id(task, place);
      if (!id.ok()) return id.status();
      if (!index_.emplace(*id, i).second) {
        return InvalidArgument("{}.id: \"{}\" is there twice", place, *id);
      }
      const auto name = task.find("name");
      const bool named = name != task.end() && name->is_string();
      workflow_.tasks.push_back({*id, named ? name->get<std::string>() : *id, 0});
    }
    return absl::OkStatus();
  }

  // Parents and children both record the edges; real files do not always agree, so both count.
  absl::Status ReadEdges(const Json& root) {
    const Json& list = **TaskList(root, "specification");
    std::set<std::pair<size_t, size_t>> edges;
    for (size_t i = 0; i < list.size(); ++i) {
      for (const char* key : {"parents", "children"}) {
        const std::string place = fmt::format("{}[{}].{}", kSpecification, i, key);
        if (!list[i].contains(key)) continue;
        const Json& others = list[i].at(key);
        if (!others.is_array()) return InvalidArgument("{}: must be a list", place);
        for (size_t k = 0; k < others.size(); ++k) {
          auto other = Find(others[k], fmt::format("{}[{}]", place, k));
          if (!other.ok()) return other.status();
          if (*other == i) return InvalidArgument("{}[{}]: the task itself", place, k);
          edges.insert(*key == 'p' ? std::pair(*other, i) : std::pair(i, *other));
        }
      }
    }
    workflow_.edges.assign(edges.begin(), edges.end());
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> Find(const Json& id, const std::string& place) const {
    if (!id.is_string()) return InvalidArgument("{}: must be the id of a task", place);
    const auto found = index_.find(id.get<std::string>());
    if (found == index_.end()) {
      return InvalidArgument("{}: no task has the id \"{}\"", place, id.get<std::string>());
    }
    return found->second;
  }

  absl::Status ReadRuntimes(const Json& root) {
    auto list = TaskList(root, "execution");
    if (!list.ok()) return list.status();
    std::set<size_t> recorded;
    for (size_t i = 0; i < (*list)->size(); ++i) {
      const Json& task = (**list)[i];
      const std::string place = fmt::format("{}[{}]", kExecution, i);
      auto id = Id(task, place);
      if (!id.ok()) return id.status();
      auto index = Find(task.at("id"), place + ".id");
      if (!index.ok()) return index.status();
      const auto runtime = task.find("runtimeInSeconds");
      const bool valid = runtime != task.end() && runtime->is_number() &&
                         std::isfinite(runtime->get<double>()) && runtime->get<double>() >= 0;
      if (!valid) return InvalidArgument("{}.runtimeInSeconds: must be a number from 0", place);
      workflow_.tasks[*index].runtime_s = runtime->get<double>();
      recorded.insert(*index);
    }
    for (size_t i = 0; i < workflow_.tasks.size(); ++i) {
      if (recorded.contains(i)) continue;
      return InvalidArgument("{}: no record of \"{}\" ({}[{}])", kExecution, workflow_.tasks[i].id,
                             kSpecification, i);
    }
    return absl::OkStatus();
  }

  absl::Status CheckAcyclic(const Json&) {
    std::vector<size_t> waits_for(workflow_.tasks.size());
    std::vector<std::vector<size_t>> children(workflow_.tasks.size());
    for (const auto& [parent, child] : workflow_.edges) {
      ++waits_for[child];
      children[parent].push_back(child);
    }
    std::vector<size_t> ready;
    for (size_t i = 0; i < waits_for.size(); ++i) {
      if (waits_for[i] == 0) ready.push_back(i);
    }
    for (size_t next = 0; next < ready.size(); ++next) {
      for (const size_t child : children[ready[next]]) {
        if (--waits_for[child] == 0) ready.push_back(child);
      }
    }
    if (ready.size() == workflow_.tasks.size()) return absl::OkStatus();
    const auto stuck =
        std::find_if(waits_for.begin(), waits_for.end(), [](size_t count) { return count > 0; });
    const auto i = static_cast<size_t>(stuck - waits_for.begin());
    return InvalidArgument("{}[{}]: \"{}\" is on a cycle, or behind one", kSpecification, i,
                           workflow_.tasks[i].id);
  }

  Workflow workflow_;
  std::map<std::string, size_t> index_;
};

std::string Sanitized(const std::string& id) {
  std::string result = id.substr(0, 128);
  for (char& c : result) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.' || c == ':' || c == '-';
    if (!fine) c = '_';
  }
  return result;
}

// $1 is how long to hold the slot, in seconds. Each line is one write to a file opened for
// appending: lines of tasks that end at once do not mix.
constexpr const char* kHoldScript =
    R"sh(set -eu
trace() {
  [ -n "${BATON_SHARED_DIR:-}" ] || return 0
  mkdir -p "$BATON_SHARED_DIR/trace"
  printf '%s %s %s %s %s\n' "$1" "$BATON_VERTEX_ID" "$BATON_ATTEMPT" "$$" "$(date +%s%N)" \
    >> "$BATON_SHARED_DIR/trace/$BATON_JOB_ID"
}
trace start
sleep "$1"
trace end
)sh";

// Control characters are refused in names.
std::string PlainName(std::string name) {
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return name;
}

}  // namespace

double Workflow::TotalRuntime() const {
  double total = 0;
  for (const WorkflowTask& task : tasks) total += task.runtime_s;
  return total;
}

absl::StatusOr<Workflow> ParseWorkflow(std::string_view json) {
  try {
    return Reader().Read(Json::parse(json));
  } catch (const Json::parse_error& error) {
    return InvalidArgument("the file is no JSON: {}", error.what());
  }
}

std::vector<std::string> VertexIds(const Workflow& workflow) {
  std::vector<std::string> ids;
  std::set<std::string> taken;
  for (const WorkflowTask& task : workflow.tasks) {
    const std::string plain = Sanitized(task.id);
    std::string id = plain;
    for (int number = 2; !taken.insert(id).second; ++number) {
      const std::string suffix = fmt::format("-{}", number);
      id = plain.substr(0, 128 - suffix.size()) + suffix;
    }
    ids.push_back(id);
  }
  return ids;
}

std::string ToJobJson(const Workflow& workflow, double time_scale) {
  using Ordered = nlohmann::ordered_json;
  const std::vector<std::string> ids = VertexIds(workflow);
  Ordered vertices = Ordered::array();
  for (size_t i = 0; i < ids.size(); ++i) {
    const WorkflowTask& task = workflow.tasks[i];
    const std::string seconds = fmt::format("{:.3f}", task.runtime_s * time_scale);
    vertices.push_back({{"id", ids[i]},
                        {"name", PlainName(task.name)},
                        {"command", Ordered::array({"sh", "-c", kHoldScript, "hold", seconds})}});
  }
  Ordered edges = Ordered::array();
  for (const auto& [parent, child] : workflow.edges) {
    edges.push_back({{"source", ids[parent]}, {"target", ids[child]}});
  }
  const Ordered job{{"name", PlainName(workflow.name)}, {"vertices", vertices}, {"edges", edges}};
  return job.dump(2);
}

}  // namespace baton
