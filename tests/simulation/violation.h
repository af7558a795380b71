// How everybody who watches a simulated cluster says that a promise is broken.

#pragma once

#include <functional>
#include <string>

namespace baton {

// `invariant` is a name such as "I5" (docs/failure-model.md lists them); called at the instant at
// which it is broken. A test fails there; baton-simulate ends the run.
using OnViolation = std::function<void(const std::string& invariant, const std::string& what)>;

}  // namespace baton
