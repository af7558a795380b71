// Where chance comes from: an interface, so that a simulated run is a function of its seed.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/ids.h"
#include "base/time.h"

namespace baton {

// Threading: every method may be called from any thread.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;

  JobId NewJobId();
  Incarnation NewIncarnation();
  // Uniform in [0, span).
  Duration Below(Duration span);
};

using RandomPtr = std::shared_ptr<Random>;

// The kernel's generator: ids made on different machines do not meet.
RandomPtr NewSystemRandom();
// Repeatable; for tests.
RandomPtr NewSeededRandom(uint64_t seed);

}  // namespace baton
