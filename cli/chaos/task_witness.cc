#include "cli/chaos/task_witness.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>

#include "rest/client/wait.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kInterval(15);

std::string EnvironmentOf(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int64_t WallNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

TaskWitness::TaskWitness(std::string file) : file_(std::move(file)), thread_([this] { Watch(); }) {}

TaskWitness::~TaskWitness() {
  Stop();
  for (const auto& [run, handle] : handles_) close(handle);
}

void TaskWitness::Stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void TaskWitness::Watch() {
  while (!stopping_) {
    ReadLines();
    Look();
    RestUntil(Clock::now() + kInterval);
  }
  ReadLines();
}

void TaskWitness::ReadLines() {
  std::ifstream file(file_, std::ios::binary);
  if (!file) return;
  file.seekg(static_cast<std::streamoff>(offset_));
  const std::string added{std::istreambuf_iterator<char>(file), {}};
  offset_ += added.size();
  unconsumed_ += added;
  std::lock_guard lock(mutex_);
  unconsumed_.erase(0, trace_.Consume(unconsumed_));
  for (; met_ < trace_.runs().size(); ++met_) Meet(met_);
}

void TaskWitness::Meet(size_t run_number) {
  const TaskRun& run = trace_.runs()[run_number];
  if (run.end != TaskEnd::kUnknown) return;
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, run.pid, 0));
  // The descriptor pins whoever has the pid; only then is asked who that is.
  const bool same = handle >= 0 && EnvironmentOf(run.pid).find("BATON_JOB_ID=" + run.name.job) !=
                                       std::string::npos;
  if (same) {
    handles_[run_number] = handle;
    return;
  }
  if (handle >= 0) close(handle);
  ++unseen_;
}

// A process that has not ended at a look lived at least until the look began.
void TaskWitness::Look() {
  std::lock_guard lock(mutex_);
  std::vector<pollfd> polled;
  for (const auto& [run, handle] : handles_) polled.push_back({handle, POLLIN, 0});
  const int64_t before = WallNs();
  if (poll(polled.data(), polled.size(), 0) < 0) return;
  size_t i = 0;
  for (auto it = handles_.begin(); it != handles_.end(); ++i) {
    TaskRun& run = trace_.runs()[it->first];
    if (polled[i].revents == 0) {
      run.alive_ns = std::max(run.alive_ns, before);
      ++it;
    } else {
      close(it->second);
      it = handles_.erase(it);
    }
  }
}

size_t TaskWitness::Living(const std::string& job) const {
  std::lock_guard lock(mutex_);
  std::set<SubtaskName> names;
  for (const auto& [run, handle] : handles_) {
    const TaskRun& living = trace_.runs()[run];
    if (living.name.job == job) names.insert(living.name);
  }
  return names.size();
}

size_t TaskWitness::Finished(const std::string& job) const {
  std::lock_guard lock(mutex_);
  return trace_.FinishedOf(job);
}

std::vector<TaskRun> TaskWitness::Runs() const {
  std::lock_guard lock(mutex_);
  return trace_.runs();
}

uint64_t TaskWitness::malformed() const {
  std::lock_guard lock(mutex_);
  return trace_.malformed();
}

uint64_t TaskWitness::unseen() const {
  std::lock_guard lock(mutex_);
  return unseen_;
}

}  // namespace baton
