// Reads the fields of one JSON object with their types; what it was not asked for is unknown.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "job/json_document.h"
#include "job/problems.h"

namespace baton {

// Every reader returns nothing for a field that is absent or wrong; what is wrong was reported with
// its place. Lives on the stack; `object`, `place` and `problems` outlive it.
class JsonFields {
 public:
  // `json` is reported when it is no object, and is empty then.
  JsonFields(const JsonValue& json, const Place& place, ProblemList* problems);

  enum class Presence { kOptional, kRequired };

  const std::string* String(std::string_view name, Presence presence = Presence::kOptional);
  std::optional<int64_t> Integer(std::string_view name, int64_t least, int64_t most);
  // At least `least`, at most a year, and whole milliseconds, as it is stored.
  std::optional<Duration> Millis(std::string_view name, Duration least);
  const JsonArray* Array(std::string_view name, Presence presence = Presence::kOptional);
  const JsonObject* Object(std::string_view name);
  const JsonValue* Any(std::string_view name);

  // Call it last: reports every field that no reader asked for.
  void RefuseUnknown();

 private:
  const JsonValue* Find(std::string_view name, Presence presence);

  const JsonObject* object_ = nullptr;
  const Place& place_;
  ProblemList* const problems_;
  std::vector<std::string_view> asked_;
};

}  // namespace baton
