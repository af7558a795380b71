#include "cli/chaos/history.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace baton {
namespace {

// Of "…/<worker>/work/…/<job>/<vertex>/<subtask>/<attempt>-e<epoch>/work".
bool ReadDirectory(const std::string& directory, const SubtaskName& name, TaskRun* run) {
  const size_t job = directory.rfind("/" + name.job + "/");
  const size_t work = job == std::string::npos ? job : directory.rfind("/work/", job);
  const size_t epoch = directory.rfind("-e");
  if (work == std::string::npos || epoch == std::string::npos || work == 0) return false;
  const size_t worker = directory.rfind('/', work - 1);
  if (worker == std::string::npos) return false;
  run->worker = directory.substr(worker + 1, work - worker - 1);
  run->epoch = std::strtoull(directory.c_str() + epoch + 2, nullptr, 10);
  return run->epoch > 0;
}

}  // namespace

size_t TaskTrace::Consume(std::string_view text) {
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', begin)) {
    if (!ConsumeLine(std::string(text.substr(begin, end - begin)))) ++malformed_;
    begin = end + 1;
  }
  return begin;
}

size_t TaskTrace::FinishedOf(const std::string& job) const {
  const auto found = finished_.find(job);
  return found == finished_.end() ? 0 : found->second.size();
}

bool TaskTrace::ConsumeLine(const std::string& line) {
  std::istringstream fields(line);
  std::string event, directory;
  TaskRun run;
  int64_t at_us = 0;
  if (!(fields >> event >> run.name.job >> run.name.vertex >> run.name.subtask >> run.attempt >>
        run.pid >> at_us >> std::ws) ||
      !std::getline(fields, directory)) {
    return false;
  }
  const int64_t at_ns = at_us * 1000;
  const auto [known, is_new] = by_process_.try_emplace({directory, run.pid}, runs_.size());
  if (is_new) {
    if (event != "start" || !ReadDirectory(directory, run.name, &run)) {
      by_process_.erase(known);
      return false;
    }
    run.started_ns = run.alive_ns = at_ns;
    runs_.push_back(std::move(run));
    return true;
  }
  TaskRun& same = runs_[known->second];
  same.alive_ns = std::max(same.alive_ns, at_ns);
  if (event == "alive") return true;
  if (event == "end") {
    same.end = TaskEnd::kFinished;
    finished_[same.name.job].emplace(same.name.vertex, same.name.subtask);
  }
  if (event == "term") same.end = TaskEnd::kTerminated;
  return event == "end" || event == "term";
}

}  // namespace baton
