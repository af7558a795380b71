#include "taskmanager/earlier_incarnation.h"

#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "base/status.h"
#include "taskmanager/guardian/guarded_task.h"
#include "taskmanager/guardian/process_tree.h"

namespace baton {
namespace {

constexpr Duration kKillPatience = std::chrono::seconds(10);
constexpr int kMaxSweeps = 100;

std::string RecordPath(const std::string& work_directory) {
  return work_directory + "/guardian.pid";
}

// Processes that were started by the guardian of this incarnation, wherever they went. One that
// forks while it is looked for is found in the next round.
absl::Status EndProcessesOf(const std::string& incarnation) {
  const std::string start = incarnation + "/";
  for (int round = 0; round < kMaxSweeps; ++round) {
    bool found = false;
    for (pid_t pid : guardian::ListProcesses()) {
      const auto stat = guardian::ReadProcessStat(pid);
      const auto token = guardian::ReadEnvironment(pid, guardian::kTokenVariable);
      if (!stat || !token || !token->starts_with(start)) continue;
      found = true;
      log::Warning("ending what an earlier incarnation left pid={} attempt={}", pid, *token);
      guardian::KillAndAwait(pid, stat->start_ticks, kKillPatience);
    }
    if (!found) return absl::OkStatus();
  }
  return Unavailable("processes of an earlier incarnation {} do not end", incarnation);
}

}  // namespace

absl::Status RecordGuardian(const std::string& work_directory, pid_t pid,
                            const Incarnation& incarnation) {
  const auto stat = guardian::ReadProcessStat(pid);
  if (!stat) return Unavailable("the guardian pid {} is gone", pid);
  const std::string path = RecordPath(work_directory), fresh = path + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << pid << ' ' << stat->start_ticks << ' ' << incarnation.value() << '\n';
    if (!out.flush()) return Unavailable("cannot write {}", fresh);
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return Unavailable("cannot rename {}: {}", fresh, error.message());
  return absl::OkStatus();
}

absl::Status EndEarlierIncarnation(const std::string& work_directory) {
  std::ifstream in(RecordPath(work_directory));
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  std::string incarnation;
  if (!(in >> pid >> start_ticks >> incarnation)) return absl::OkStatus();
  // Its direct children go with it (PR_SET_PDEATHSIG).
  if (!guardian::KillAndAwait(pid, start_ticks, kKillPatience)) {
    return Unavailable("the guardian of an earlier incarnation, pid {}, does not end", pid);
  }
  return EndProcessesOf(incarnation);
}

}  // namespace baton
