#include "ha/zookeeper_threads.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace baton::zookeeper {
namespace {

constexpr auto kPatienceAtExit = std::chrono::seconds(5);

// A detached thread with a queue. Never destroyed: it may be waiting for DNS when the process ends.
class Worker {
 public:
  void Run(Task task) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(task));
    if (!std::exchange(started_, true)) std::thread([this] { Loop(); }).detach();
    changed_.notify_all();
  }

  void WaitUntilIdle() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatienceAtExit, [this] { return queue_.empty() && !busy_; });
  }

 private:
  [[noreturn]] void Loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return !queue_.empty(); });
      Task task = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<Task> queue_;
  bool started_ = false;
  bool busy_ = false;
};

// Static destruction waits for the closings.
struct WaitAtExit {
  explicit WaitAtExit(Worker& worker) : worker(worker) {}
  ~WaitAtExit() { worker.WaitUntilIdle(); }
  Worker& worker;
};

}  // namespace

void RunOnOpeningThread(Task task) {
  static Worker& worker = *new Worker;
  worker.Run(std::move(task));
}

void RunOnClosingThread(Task task) {
  static Worker& worker = *new Worker;
  static WaitAtExit wait_at_exit(worker);
  worker.Run(std::move(task));
}

}  // namespace baton::zookeeper
