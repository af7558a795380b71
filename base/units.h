// Durations and sizes as people write them: "10 min", "250 ms", "256 MiB".
//
// The spellings are those of Flink's TimeUtils and MemorySize: units in any case, the space is
// optional, sizes are powers of 1024 however they are spelt ("kb" and "KiB" are 1024 bytes). Unlike
// Flink a duration needs a unit: a bare number hides a mistake of a factor 1000.
//
// Threading: pure functions.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/time.h"

namespace baton {

// A size in bytes, as a type, so that a configuration option of it is not taken for a count.
struct ByteSize {
  uint64_t value = 0;
  auto operator<=>(const ByteSize&) const = default;
};

// Units ns, us, ms, s, min (m), h, d and their long names. Whole, not negative, at most 100,000
// days (a Duration holds 292 years). kInvalidArgument says what is wrong with `text`.
absl::StatusOr<Duration> ParseDuration(std::string_view text);

// Units b, k, m, g, t and their long names; none: bytes. At most 2^63 - 1.
absl::StatusOr<ByteSize> ParseBytes(std::string_view text);

// The largest unit that keeps the number whole: "10 min", "1500 ms", "0 s". Parses back.
std::string FormatDuration(Duration duration);
std::string FormatBytes(ByteSize size);

}  // namespace baton
