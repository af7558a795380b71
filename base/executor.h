// An Executor carries threads AND time: the one thing that a component needs to run and to wait.
//
// Tasks posted to one Executor run one after the other (a strand), in the order of their posting,
// never inside Post(). Timers fire on it no earlier than asked for. There are two: AsioExecutor
// (threads, real clocks) and ManualExecutor (tests: one thread, virtual time, seeded order).
//
// Threading: every method may be called from any thread.

#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "base/time.h"

namespace baton {

using Task = absl::AnyInvocable<void()>;

// Names a timer of one Executor; 0 names none.
using TimerId = uint64_t;
inline constexpr TimerId kNoTimer = 0;

class Executor {
 public:
  virtual ~Executor() = default;

  virtual void Post(Task task) = 0;

  // Runs `task` once, `delay` from now. A negative delay counts as zero.
  virtual TimerId PostAfter(Duration delay, Task task) = 0;

  // Called on the executor itself, it is certain that the task will not run; from elsewhere it may
  // be running already. An unknown or finished id (kNoTimer too) is ignored.
  virtual void Cancel(TimerId id) = 0;

  virtual TimePoint Now() const = 0;
  virtual WallMillis WallNow() const = 0;

  virtual bool RunsInThisThread() const = 0;
};

using ExecutorPtr = std::shared_ptr<Executor>;

// Binds a callback to the executor it must run on: the result may be called from any thread, once,
// and posts. Every asynchronous call of Baton takes its callback last; the caller binds it.
template <class F>
auto BindTo(ExecutorPtr executor, F callback) {
  return [executor = std::move(executor), callback = std::move(callback)](auto&&... args) mutable {
    executor->Post(
        [callback = std::move(callback), ... args = std::forward<decltype(args)>(args)]() mutable {
          callback(std::move(args)...);
        });
  };
}

// The callback of an object that may be gone when it is called: then nothing happens. `callback`
// takes the object first. Never capture a bare `this` in a callback; capture this instead.
template <class T, class F>
auto IfAlive(std::weak_ptr<T> object, F callback) {
  return [object = std::move(object), callback = std::move(callback)](auto&&... args) mutable {
    if (auto alive = object.lock()) callback(*alive, std::forward<decltype(args)>(args)...);
  };
}

}  // namespace baton
