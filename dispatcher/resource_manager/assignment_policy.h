// Which TaskManager runs the next waiting subtask: one small interface, so that a policy can be
// written and tested without anything else of Baton.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace baton {

struct WorkerSlots {
  uint32_t total = 0;
  uint32_t free = 0;
};

class AssignmentPolicy {
 public:
  virtual ~AssignmentPolicy() = default;

  // For each of `waiting` subtasks, in their order, the index of its worker. May return fewer: the
  // rest goes on waiting. Never gives a worker more than its free slots.
  virtual std::vector<size_t> Assign(size_t waiting, std::span<const WorkerSlots> workers) = 0;
};

// "greedy": the first worker with a free slot. kInvalidArgument names the policies that there are.
absl::StatusOr<std::unique_ptr<AssignmentPolicy>> NewAssignmentPolicy(std::string_view name);

}  // namespace baton
