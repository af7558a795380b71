// Many asynchronous steps, a bounded number of them at once.

#pragma once

#include <cstddef>
#include <functional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace baton {

using StepDone = absl::AnyInvocable<void(absl::Status)>;

// Calls start(0) … start(count - 1), at most `window` under way at once; each step ends by calling
// its StepDone, from any thread. After an error no further step is started. `done` gets the first
// error once nothing is under way any more; with a count of 0 it is called at once.
void RunBounded(size_t count, size_t window, std::function<void(size_t, StepDone)> start,
                StepDone done);

}  // namespace baton
