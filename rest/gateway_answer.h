// From what a DispatcherGateway says to an HTTP answer; internal to rest/*_routes.cc.

#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "rest/leader_call.h"

namespace baton {

// A gateway's callback that gives `done` what `view` makes of the value (an HttpResponse, or a
// StatusOr of one), or the error. Bodies are built on `executor`, not on the Dispatcher's: a long
// list must not delay it.
template <class T, class View>
auto Answering(const ExecutorPtr& executor, LeaderCall::Done done, View view) {
  return BindTo(executor,
                [done = std::move(done), view = std::move(view)](absl::StatusOr<T> value) mutable {
                  if (!value.ok()) return done(value.status());
                  done(view(*std::move(value)));
                });
}

// The same for a plain yes or no: `yes` is the answer to OK.
inline auto AnsweringStatus(const ExecutorPtr& executor, LeaderCall::Done done, HttpResponse yes) {
  return BindTo(executor,
                [done = std::move(done), yes = std::move(yes)](absl::Status status) mutable {
                  if (!status.ok()) return done(std::move(status));
                  done(std::move(yes));
                });
}

}  // namespace baton
