// A JSON text as a tree that keeps what a checker needs: the order of keys, duplicates named.
//
// nlohmann's own tree silently drops duplicate keys and is built and destroyed recursively, so a
// text of opening brackets overflows the stack; here depth and size are bounded while reading.
//
// Threading: values; safe from any thread once read.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "job/problems.h"

namespace baton {

struct JsonValue;
using JsonArray = std::vector<JsonValue>;
using JsonObject = std::vector<std::pair<std::string, JsonValue>>;

struct JsonValue {
  // Integers beyond int64 are doubles: no field takes either.
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, JsonArray, JsonObject> value =
      nullptr;

  template <class T>
  const T* As() const {
    return std::get_if<T>(&value);
  }
};

struct JsonBounds {
  size_t max_depth = 32;
  size_t max_values = 3'000'000;  // of any kind, keys not counted
};

// Empty when the text is no JSON or exceeds the bounds; the problem names line and column. A
// duplicate key is a problem too, but the rest is read on (the first one counts).
std::optional<JsonValue> ReadJson(std::string_view text, const JsonBounds& bounds,
                                  ProblemList* problems);

// The same document with sorted keys and no spaces, without the `omitted` key at the top: equal
// documents give equal bytes.
std::string CanonicalJson(const JsonValue& document, std::string_view omitted);

}  // namespace baton
