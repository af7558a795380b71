#include "base/units.h"

#include <cctype>
#include <charconv>
#include <limits>
#include <span>

#include "base/status.h"
#include "fmt/format.h"

namespace baton {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr int64_t kMicro = 1000, kMilli = 1000 * kMicro, kSecond = 1000 * kMilli;
constexpr int64_t kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr int64_t kMaxNanos = 100'000 * kDay;
constexpr int64_t kKi = 1024, kMi = 1024 * kKi, kGi = 1024 * kMi, kTi = 1024 * kGi;

constexpr Unit kDurationUnits[] = {
    {"d", kDay},
    {"day", kDay},
    {"days", kDay},
    {"h", kHour},
    {"hour", kHour},
    {"hours", kHour},
    {"min", kMinute},
    {"m", kMinute},
    {"minute", kMinute},
    {"minutes", kMinute},
    {"s", kSecond},
    {"sec", kSecond},
    {"secs", kSecond},
    {"second", kSecond},
    {"seconds", kSecond},
    {"ms", kMilli},
    {"milli", kMilli},
    {"millis", kMilli},
    {"millisecond", kMilli},
    {"milliseconds", kMilli},
    {"us", kMicro},
    {"\u00b5s", kMicro},
    {"micro", kMicro},
    {"micros", kMicro},
    {"microsecond", kMicro},
    {"microseconds", kMicro},
    {"ns", 1},
    {"nano", 1},
    {"nanos", 1},
    {"nanosecond", 1},
    {"nanoseconds", 1},
};

constexpr Unit kSizeUnits[] = {
    {"", 1},    {"b", 1},    {"byte", 1},  {"bytes", 1},
    {"k", kKi}, {"kb", kKi}, {"kib", kKi}, {"kibibytes", kKi},
    {"m", kMi}, {"mb", kMi}, {"mib", kMi}, {"mebibytes", kMi},
    {"g", kGi}, {"gb", kGi}, {"gib", kGi}, {"gibibytes", kGi},
    {"t", kTi}, {"tb", kTi}, {"tib", kTi}, {"tebibytes", kTi},
};

constexpr size_t kMaxTextBytes = 64;

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// What both kinds have in common: a whole number, a unit of the table, their product up to `most`.
absl::StatusOr<int64_t> ParseScaled(std::string_view text, std::span<const Unit> units,
                                    int64_t most, std::string_view example) {
  if (text.size() > kMaxTextBytes) return InvalidArgument("is too long; write it as {}", example);
  const std::string_view trimmed = Trim(text);
  int64_t number = 0;
  const char* const end = trimmed.data() + trimmed.size();
  const auto [rest, error] = std::from_chars(trimmed.data(), end, number);
  if (error == std::errc::result_out_of_range) return InvalidArgument("is out of range");
  if (error != std::errc() || number < 0) {
    return InvalidArgument("must be a whole number, not negative, and a unit, as {}", example);
  }
  const std::string unit = ToLower(Trim({rest, static_cast<size_t>(end - rest)}));
  for (const Unit& candidate : units) {
    if (candidate.name != unit) continue;
    if (number > most / candidate.factor) return InvalidArgument("is out of range");
    return number * candidate.factor;
  }
  if (unit.empty()) return InvalidArgument("needs a unit, as {}", example);
  return InvalidArgument("has an unknown unit; write it as {}", example);
}

}  // namespace

absl::StatusOr<Duration> ParseDuration(std::string_view text) {
  auto nanos = ParseScaled(text, kDurationUnits, kMaxNanos, "\"10 min\" or \"250 ms\"");
  if (!nanos.ok()) return nanos.status();
  return Duration(*nanos);
}

absl::StatusOr<ByteSize> ParseBytes(std::string_view text) {
  auto bytes = ParseScaled(text, kSizeUnits, std::numeric_limits<int64_t>::max(),
                           "\"256 MiB\" or \"64 kb\"");
  if (!bytes.ok()) return bytes.status();
  return ByteSize{static_cast<uint64_t>(*bytes)};
}

std::string FormatDuration(Duration duration) {
  static constexpr Unit kNames[] = {{"d", kDay},    {"h", kHour},   {"min", kMinute},
                                    {"s", kSecond}, {"ms", kMilli}, {"us", kMicro}};
  const int64_t nanos = duration.count();
  if (nanos == 0) return "0 s";
  for (const Unit& unit : kNames) {
    if (nanos % unit.factor == 0) return fmt::format("{} {}", nanos / unit.factor, unit.name);
  }
  return fmt::format("{} ns", nanos);
}

std::string FormatBytes(ByteSize size) {
  static constexpr Unit kNames[] = {{"TiB", kTi}, {"GiB", kGi}, {"MiB", kMi}, {"KiB", kKi}};
  if (size.value == 0) return "0 b";
  for (const Unit& unit : kNames) {
    const auto factor = static_cast<uint64_t>(unit.factor);
    if (size.value % factor == 0) return fmt::format("{} {}", size.value / factor, unit.name);
  }
  return fmt::format("{} b", size.value);
}

}  // namespace baton
