// One value of the configuration: its text checked against what the option takes.

#pragma once

#include <string>
#include <string_view>

#include "base/config.h"

namespace baton {

// What is wrong with `text` as a value of `option`; empty: nothing.
std::string ValueProblem(const OptionSpec& option, std::string_view text);

// The value as a number: of an integer itself, of a boolean 0 or 1, of a duration nanoseconds, of a
// size bytes.
absl::StatusOr<int64_t> ParseScalar(OptionType type, std::string_view text);

}  // namespace baton
