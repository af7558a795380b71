// Workflows of WfCommons (WfFormat 1.5, https://wfcommons.org/format) as Baton jobs: the recorded
// graph with its real edges; each task holds its slot for its recorded runtime, scaled.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace baton {

struct WorkflowTask {
  std::string id;    // as recorded
  std::string name;  // as recorded; the id if there is none
  double runtime_s = 0;
};

// A recorded workflow. One that exists has unique task ids, a runtime for each task, edges between
// its own tasks, each once, and no cycle.
struct Workflow {
  std::string name;
  std::vector<WorkflowTask> tasks;               // in the file's order
  std::vector<std::pair<size_t, size_t>> edges;  // (parent, child), sorted

  double TotalRuntime() const;
};

// kInvalidArgument names the place: "workflow.specification.tasks[3].parents[0]: …".
absl::StatusOr<Workflow> ParseWorkflow(std::string_view json);

// Characters outside [A-Za-z0-9_.:-] become "_", at most 128 of them; what then collides gets a
// number. One id for each task, in order.
std::vector<std::string> VertexIds(const Workflow& workflow);

// The job as JSON. A task's command writes "start|end <vertex> <attempt> <pid> <epoch ns>" lines to
// $BATON_SHARED_DIR/trace/$BATON_JOB_ID, where there is a shared directory, and rests for
// time_scale × its runtime in between.
std::string ToJobJson(const Workflow& workflow, double time_scale);

}  // namespace baton
