// The jobs that the tests run, and what their tasks leave behind: each appends a line to a file of
// its job when it starts and when it ends. These files, not the cluster's own word, say what ran.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace baton::integration {

struct TraceLine {
  std::string event;  // "start" or "end"
  uint32_t subtask = 0;
  uint32_t attempt = 0;
  int64_t pid = 0;

  bool operator==(const TraceLine&) const = default;
};

// A job of `parallelism` tasks that end at once. Its text is padded to about `bytes`.
std::string QuickJob(uint32_t parallelism = 1, size_t bytes = 500);

// A job of so many vertices of one task each, that end at once, and 100 KB a vertex.
std::string LargeJob(uint32_t vertices);

// A job whose tasks run until TaskTraces::Release(job).
std::string HeldJob(uint32_t parallelism);

// Lives with one cluster, in the directory that its tasks know as BATON_SHARED_DIR.
class TaskTraces {
 public:
  explicit TaskTraces(const std::filesystem::path& shared_directory);

  std::vector<TraceLine> Lines(const std::string& job) const;
  std::vector<TraceLine> Starts(const std::string& job) const;
  std::vector<TraceLine> Ends(const std::string& job) const;

  // Subtasks of which an attempt lives although a later one has started. What has started is read
  // before what lives: whoever is found was alive after the other's start.
  std::set<uint32_t> AliveTwice(const std::string& job) const;

  // Lets the tasks of a HeldJob end.
  void Release(const std::string& job) const;

 private:
  const std::filesystem::path directory_;
};

// Every process on this machine that has BATON_JOB_ID=job in its environment.
std::set<int64_t> ProcessesOf(const std::string& job);

std::string NewJobId();

}  // namespace baton::integration
