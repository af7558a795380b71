#include "job/json_fields.h"

#include <algorithm>

#include "base/status.h"
#include "base/suggest.h"
#include "base/units.h"

namespace baton {
namespace {

constexpr Duration kLongest = std::chrono::hours(24 * 365);

}  // namespace

JsonFields::JsonFields(const JsonValue& json, const Place& place, ProblemList* problems)
    : object_(json.As<JsonObject>()), place_(place), problems_(problems) {
  if (object_ == nullptr) problems_->Add(place_, "must be an object");
}

const JsonValue* JsonFields::Find(std::string_view name, Presence presence) {
  asked_.push_back(name);
  if (object_ == nullptr) return nullptr;
  for (const auto& [key, value] : *object_) {
    if (key == name) return &value;
  }
  if (presence == Presence::kRequired) problems_->Add(place_.At(name), "is required");
  return nullptr;
}

const JsonValue* JsonFields::Any(std::string_view name) { return Find(name, Presence::kOptional); }

const std::string* JsonFields::String(std::string_view name, Presence presence) {
  const JsonValue* value = Find(name, presence);
  if (value == nullptr) return nullptr;
  if (const auto* text = value->As<std::string>()) return text;
  problems_->Add(place_.At(name), "must be a string");
  return nullptr;
}

std::optional<int64_t> JsonFields::Integer(std::string_view name, int64_t least, int64_t most) {
  const JsonValue* value = Find(name, Presence::kOptional);
  if (value == nullptr) return std::nullopt;
  const auto* integer = value->As<int64_t>();
  if (integer != nullptr && *integer >= least && *integer <= most) return *integer;
  if (integer == nullptr) {
    problems_->Add(place_.At(name), "must be an integer, {}..{}", least, most);
  } else {
    problems_->Add(place_.At(name), "must be {}..{}", least, most);
  }
  return std::nullopt;
}

std::optional<Duration> JsonFields::Millis(std::string_view name, Duration least) {
  const JsonValue* value = Find(name, Presence::kOptional);
  if (value == nullptr) return std::nullopt;
  const auto* text = value->As<std::string>();
  if (text == nullptr) {
    problems_->Add(place_.At(name), "must be a string with a unit, as \"10 min\" or \"250 ms\"");
    return std::nullopt;
  }
  const auto duration = ParseDuration(*text);
  if (!duration.ok()) {
    problems_->Add(place_.At(name), "{}", Message(duration.status()));
  } else if (*duration < least || *duration > kLongest) {
    problems_->Add(place_.At(name), "must be {}..{}", FormatDuration(least),
                   FormatDuration(kLongest));
  } else if (*duration % std::chrono::milliseconds(1) != Duration::zero()) {
    problems_->Add(place_.At(name), "must be a whole number of milliseconds");
  } else {
    return *duration;
  }
  return std::nullopt;
}

const JsonArray* JsonFields::Array(std::string_view name, Presence presence) {
  const JsonValue* value = Find(name, presence);
  if (value == nullptr) return nullptr;
  if (const auto* array = value->As<JsonArray>()) return array;
  problems_->Add(place_.At(name), "must be an array");
  return nullptr;
}

const JsonObject* JsonFields::Object(std::string_view name) {
  const JsonValue* value = Find(name, Presence::kOptional);
  if (value == nullptr) return nullptr;
  if (const auto* object = value->As<JsonObject>()) return object;
  problems_->Add(place_.At(name), "must be an object");
  return nullptr;
}

void JsonFields::RefuseUnknown() {
  if (object_ == nullptr) return;
  for (const auto& [key, value] : *object_) {
    if (problems_->full()) return;
    if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) continue;
    const std::string quoted = Quoted(key);
    const std::string shown = quoted.substr(1, quoted.size() - 2);
    problems_->Add(place_.At(shown), "unknown field{}", DidYouMean(key, asked_));
  }
}

}  // namespace baton
