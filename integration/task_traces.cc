#include "integration/task_traces.h"

#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "base/random.h"
#include "fmt/core.h"

namespace baton::integration {
namespace {

// One write of one line each: appends of this size do not mix.
constexpr char kTrace[] =
    R"(trace() { echo \"$1 $BATON_SUBTASK $BATON_ATTEMPT $$\" >>\"$BATON_SHARED_DIR/traces/$BATON_JOB_ID\"; }; )";

std::string JobOf(uint32_t parallelism, const std::string& script, size_t bytes) {
  const std::string without_padding = fmt::format(
      R"({{"name":"traced","vertices":[{{"id":"task","parallelism":{},"command":["sh","-c","{}{}"],)"
      R"("env":{{"PADDING":")",
      parallelism, kTrace, script);
  const std::string end = R"("}}]})";
  const size_t size = without_padding.size() + end.size();
  return without_padding + std::string(bytes > size ? bytes - size : 0, 'x') + end;
}

}  // namespace

std::string QuickJob(uint32_t parallelism, size_t bytes) {
  return JobOf(parallelism, "trace start; trace end", bytes);
}

std::string LargeJob(uint32_t vertices) {
  std::string job = R"({"name":"large","vertices":[)";
  for (uint32_t i = 0; i < vertices; ++i) {
    job += fmt::format(R"({}{{"id":"v{}","command":["sh","-c","{}trace start; trace end"],)"
                       R"("env":{{"PADDING":"{}"}}}})",
                       i == 0 ? "" : ",", i, kTrace, std::string(100'000, 'x'));
  }
  return job + "]}";
}

std::string HeldJob(uint32_t parallelism) {
  return JobOf(parallelism,
               R"(trace start; until [ -e \"$BATON_SHARED_DIR/traces/$BATON_JOB_ID.release\" ]; )"
               R"(do sleep 0.05; done; trace end)",
               0);
}

TaskTraces::TaskTraces(const std::filesystem::path& shared_directory)
    : directory_(shared_directory / "traces") {
  std::filesystem::create_directories(directory_);
}

std::vector<TraceLine> TaskTraces::Lines(const std::string& job) const {
  std::vector<TraceLine> lines;
  std::ifstream file(directory_ / job);
  std::string text;
  while (std::getline(file, text)) {
    TraceLine line;
    std::istringstream(text) >> line.event >> line.subtask >> line.attempt >> line.pid;
    lines.push_back(line);
  }
  return lines;
}

std::vector<TraceLine> TaskTraces::Starts(const std::string& job) const {
  auto lines = Lines(job);
  std::erase_if(lines, [](const TraceLine& line) { return line.event != "start"; });
  return lines;
}

std::vector<TraceLine> TaskTraces::Ends(const std::string& job) const {
  auto lines = Lines(job);
  std::erase_if(lines, [](const TraceLine& line) { return line.event != "end"; });
  return lines;
}

std::set<uint32_t> TaskTraces::AliveTwice(const std::string& job) const {
  const auto starts = Starts(job);
  // By their order: a number may come again when a leader and a worker were lost at once.
  std::map<uint32_t, int64_t> newest;
  for (const TraceLine& start : starts) newest[start.subtask] = start.pid;
  std::set<uint32_t> twice;
  const std::set<int64_t> alive = ProcessesOf(job);
  for (const TraceLine& start : starts) {
    const bool replaced = start.pid != newest[start.subtask];
    if (replaced && alive.contains(start.pid)) twice.insert(start.subtask);
  }
  return twice;
}

void TaskTraces::Release(const std::string& job) const {
  std::ofstream(directory_ / (job + ".release"));
}

std::set<int64_t> ProcessesOf(const std::string& job) {
  const std::string marker = "BATON_JOB_ID=" + job;
  std::set<int64_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "environ", std::ios::binary);
    const std::string environment((std::istreambuf_iterator<char>(file)), {});
    if (environment.find(marker) != std::string::npos) pids.insert(std::stoll(name));
  }
  return pids;
}

std::string NewJobId() { return NewSystemRandom()->NewJobId().ToString(); }

}  // namespace baton::integration
