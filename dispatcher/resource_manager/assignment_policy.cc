#include "dispatcher/resource_manager/assignment_policy.h"

#include "base/status.h"

namespace baton {
namespace {

class Greedy final : public AssignmentPolicy {
 public:
  std::vector<size_t> Assign(size_t waiting, std::span<const WorkerSlots> workers) override {
    std::vector<size_t> chosen;
    for (size_t worker = 0; worker < workers.size(); ++worker) {
      for (uint32_t slot = 0; slot < workers[worker].free && chosen.size() < waiting; ++slot) {
        chosen.push_back(worker);
      }
    }
    return chosen;
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<AssignmentPolicy>> NewAssignmentPolicy(std::string_view name) {
  if (name == "greedy") return std::make_unique<Greedy>();
  return InvalidArgument("'{}' is no assignment policy; there is: greedy", name);
}

}  // namespace baton
