// Watches the tasks of a run of chaos from outside: reads the lines that they write as they come,
// holds a descriptor of each of their processes, and looks every few milliseconds which of them
// live. A task that gets SIGKILL writes no last line; this is how the time of its death is known,
// and that of a task which should be dead and is not. (The processes of the cluster are on networks
// of their own, but under this machine's process ids.)
//
// Owns its thread; Stop (or destruction) ends it.

#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/chaos/history.h"

namespace baton {

class TaskWitness {
 public:
  explicit TaskWitness(std::string file);
  ~TaskWitness();

  void Stop();

  // How many subtasks of the job have a process that lives now.
  size_t Living(const std::string& job) const;
  // How many subtasks of the job have done all their work.
  size_t Finished(const std::string& job) const;
  std::vector<TaskRun> Runs() const;
  uint64_t malformed() const;
  // Processes that had gone before they could be looked at: of those only the lines are known.
  uint64_t unseen() const;

 private:
  void Watch();
  void ReadLines();
  void Look();
  void Meet(size_t run);

  const std::string file_;
  uint64_t offset_ = 0;     // of the thread
  std::string unconsumed_;  // of the thread
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  TaskTrace trace_;
  size_t met_ = 0;                 // of trace_.runs(): these were tried to be opened
  std::map<size_t, int> handles_;  // pidfds of those that live, by their place in trace_.runs()
  uint64_t unseen_ = 0;
  std::thread thread_;
};

// By the clock that the tasks write their lines by.
int64_t WallNs();

}  // namespace baton
