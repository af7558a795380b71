#include "base/asio_executor.h"

#include <time.h>

#include <utility>
// Boost 1.74's Asio needs <utility> first in C++20.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace baton {
namespace {

namespace asio = boost::asio;

class AsioExecutor final : public Executor, public std::enable_shared_from_this<AsioExecutor> {
 public:
  explicit AsioExecutor(asio::io_context& io) : strand_(asio::make_strand(io)) {}

  void Post(Task task) override { asio::post(strand_, std::move(task)); }

  TimerId PostAfter(Duration delay, Task task) override {
    auto timer = std::make_shared<asio::steady_timer>(strand_);
    timer->expires_after(std::max(delay, Duration::zero()));
    TimerId id;
    {
      std::lock_guard lock(mutex_);
      id = ++last_timer_;
      timers_.emplace(id, timer);
    }
    timer->async_wait([weak = weak_from_this(), id, timer,
                       task = std::move(task)](const boost::system::error_code&) mutable {
      // A cancelled timer is no longer in the table, even when its handler was queued already.
      auto self = weak.lock();
      if (self && self->Forget(id)) task();
    });
    return id;
  }

  void Cancel(TimerId id) override {
    std::shared_ptr<asio::steady_timer> timer = Take(id);
    if (!timer) return;
    // Timers are not thread-safe: the wait is ended on the strand.
    asio::dispatch(strand_, [timer] { timer->cancel(); });
  }

  TimePoint Now() const override {
    timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return TimePoint(std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec));
  }

  WallMillis WallNow() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  bool RunsInThisThread() const override { return strand_.running_in_this_thread(); }

 private:
  std::shared_ptr<asio::steady_timer> Take(TimerId id) {
    std::lock_guard lock(mutex_);
    auto it = timers_.find(id);
    if (it == timers_.end()) return nullptr;
    auto timer = std::move(it->second);
    timers_.erase(it);
    return timer;
  }

  bool Forget(TimerId id) {
    std::lock_guard lock(mutex_);
    return timers_.erase(id) == 1;
  }

  asio::strand<asio::io_context::executor_type> strand_;
  std::mutex mutex_;
  // Guarded by mutex_:
  TimerId last_timer_ = kNoTimer;
  std::unordered_map<TimerId, std::shared_ptr<asio::steady_timer>> timers_;
};

// Its services can be shut down while it still stands.
class IoContext : public asio::io_context {
 public:
  using asio::io_context::io_context;
  void Empty() { shutdown(); }
};

}  // namespace

struct ThreadPool::Impl {
  explicit Impl(size_t count) : io(static_cast<int>(count)), work(io.get_executor()) {
    for (size_t i = 0; i < count; ++i) threads.emplace_back([this] { io.run(); });
  }

  IoContext io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<std::thread> threads;
};

ThreadPool::ThreadPool(size_t threads) : impl_(std::make_unique<Impl>(threads)) {}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  impl_->work.reset();
  impl_->io.stop();
  for (auto& thread : impl_->threads) {
    if (thread.joinable()) thread.join();
  }
}

void ThreadPool::Empty() { impl_->io.Empty(); }

ExecutorPtr ThreadPool::NewExecutor() { return std::make_shared<AsioExecutor>(impl_->io); }

boost::asio::io_context& ThreadPool::io_context() { return impl_->io; }

}  // namespace baton
