// The Executor of the daemons: strands over one pool of threads.

#pragma once

#include <cstddef>
#include <memory>

#include "base/executor.h"

namespace boost::asio {
class io_context;
}

namespace baton {

// Owns the threads and the io_context that sockets, timers and strands share. Destroy it last, from
// a thread that is not its own: the destructor stops the loop (tasks not yet run are dropped) and
// joins.
class ThreadPool {
 public:
  explicit ThreadPool(size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // A new strand. It must not be used after the pool is gone.
  ExecutorPtr NewExecutor();

  boost::asio::io_context& io_context();

  // Stops the loop and joins its threads; what has not run is dropped. Idempotent.
  void Stop();

  // After Stop: destroys what has not run, and what comes later at once. Where objects use
  // executors of several pools, stop and empty each before the first is destroyed: what the queue
  // of one owns may, as it goes, cancel timers of another.
  void Empty();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
