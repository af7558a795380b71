#include "taskmanager/deployment.h"

#include <chrono>
#include <map>

namespace baton {
namespace {

void ReplaceAll(std::string* text, const std::string& from, const std::string& to) {
  for (size_t at = text->find(from); at != std::string::npos; at = text->find(from, at)) {
    text->replace(at, from.size(), to);
    at += to.size();
  }
}

}  // namespace

LaunchSpec ToLaunchSpec(const pb::TaskDeployment& task, const ExecutionAttemptId& id,
                        const DefaultEnvironment& defaults, const std::string& shared_directory) {
  const std::string subtask = std::to_string(id.subtask);
  const std::string parallelism = std::to_string(task.parallelism());
  LaunchSpec spec;
  spec.id = id;
  for (std::string word : task.command()) {
    ReplaceAll(&word, "{subtask}", subtask);
    ReplaceAll(&word, "{parallelism}", parallelism);
    spec.command.push_back(std::move(word));
  }
  std::map<std::string, std::string> env(defaults.begin(), defaults.end());
  for (const auto& entry : task.env()) env[entry.name()] = entry.value();
  env["BATON_JOB_ID"] = id.job.ToString();
  env["BATON_VERTEX_ID"] = task.vertex_id();
  env["BATON_SUBTASK"] = subtask;
  env["BATON_PARALLELISM"] = parallelism;
  env["BATON_ATTEMPT"] = std::to_string(id.attempt);
  if (!shared_directory.empty()) env["BATON_SHARED_DIR"] = shared_directory;
  spec.env.assign(env.begin(), env.end());
  spec.timeout = std::chrono::milliseconds(task.timeout_ms());
  return spec;
}

}  // namespace baton
