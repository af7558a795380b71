#include "store/bounded_loop.h"

#include <memory>
#include <mutex>
#include <utility>

namespace baton {
namespace {

class BoundedLoop : public std::enable_shared_from_this<BoundedLoop> {
 public:
  BoundedLoop(size_t count, size_t window, std::function<void(size_t, StepDone)> start,
              StepDone done)
      : count_(count), window_(window), start_(std::move(start)), done_(std::move(done)) {}

  // A step that ends within start() finds `starting_` set and leaves the rest to this loop: no
  // recursion however many do.
  void Advance() {
    std::unique_lock lock(mutex_);
    if (std::exchange(starting_, true)) return;
    while (next_ < count_ && under_way_ < window_ && first_error_.ok()) {
      ++under_way_;
      const size_t index = next_++;
      lock.unlock();
      start_(index, [self = shared_from_this()](absl::Status status) {
        self->OnStepDone(std::move(status));
      });
      lock.lock();
    }
    starting_ = false;
    const bool over = under_way_ == 0 && (next_ == count_ || !first_error_.ok());
    if (!over || !done_) return;
    StepDone done = std::exchange(done_, nullptr);
    const absl::Status result = first_error_;
    lock.unlock();
    done(result);
  }

 private:
  void OnStepDone(absl::Status status) {
    {
      std::lock_guard lock(mutex_);
      --under_way_;
      if (first_error_.ok()) first_error_ = std::move(status);
    }
    Advance();
  }

  const size_t count_;
  const size_t window_;
  const std::function<void(size_t, StepDone)> start_;

  std::mutex mutex_;
  // Guarded by mutex_:
  StepDone done_;  // null once it is called
  size_t next_ = 0;
  size_t under_way_ = 0;
  bool starting_ = false;
  absl::Status first_error_;
};

}  // namespace

void RunBounded(size_t count, size_t window, std::function<void(size_t, StepDone)> start,
                StepDone done) {
  std::make_shared<BoundedLoop>(count, window, std::move(start), std::move(done))->Advance();
}

}  // namespace baton
