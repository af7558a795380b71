#include "cli/drill/judge.h"

#include <algorithm>

namespace baton {
namespace {

// A guardian notices the death of its TaskManager a moment later, and may start a task until then.
constexpr std::chrono::nanoseconds kLastStarts = std::chrono::seconds(1);

bool Explains(const WorkerLoss& loss, const TaskStart& before, const TaskStart& again,
              const std::optional<std::chrono::nanoseconds>& longest_run) {
  if (!before.place.starts_with(loss.place + "/")) return false;
  if (before.at_ns > loss.at_ns + kLastStarts.count() || again.at_ns < loss.at_ns) return false;
  return !longest_run || before.at_ns >= loss.at_ns - longest_run->count();
}

}  // namespace

Repetitions JudgeRepetitions(const StartTrace& trace, const std::vector<WorkerLoss>& losses,
                             std::optional<std::chrono::nanoseconds> longest_run) {
  Repetitions found;
  for (const auto& [id, starts] : trace.starts()) {
    for (size_t i = 1; i < starts.size(); ++i) {
      const bool explained = std::any_of(losses.begin(), losses.end(), [&](const WorkerLoss& loss) {
        return Explains(loss, starts[i - 1], starts[i], longest_run);
      });
      ++(explained ? found.expected : found.unexpected);
    }
  }
  return found;
}

}  // namespace baton
