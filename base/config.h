// The configuration: one YAML file and `-D key=value` overrides, checked as a whole before anything
// starts. An unknown key, a value of the wrong kind or values that do not go together are errors
// that name the key and the line; all of them at once.
//
// Options are declared in base/config_options.h and nowhere else. Whoever wires the parts reads
// them with Get and hands each part what it needs; the parts do not know Config.
//
// Threading: immutable after Load; any thread.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/time.h"
#include "base/units.h"

namespace baton {

enum class OptionType { kText, kInteger, kBoolean, kDuration, kBytes };

// Everything is text as it would stand in the file, so that the defaults pass the same checks.
struct OptionSpec {
  std::string_view key;
  OptionType type = OptionType::kText;
  std::string_view default_text;
  std::string_view description;
  std::string_view least;    // of a number, duration or size; empty: none
  std::string_view most;     // likewise
  std::string_view choices;  // of a text: "none|zookeeper"; empty: any text
};

template <class T>
constexpr OptionType OptionTypeOf();
template <>
constexpr OptionType OptionTypeOf<std::string>() {
  return OptionType::kText;
}
template <>
constexpr OptionType OptionTypeOf<int64_t>() {
  return OptionType::kInteger;
}
template <>
constexpr OptionType OptionTypeOf<bool>() {
  return OptionType::kBoolean;
}
template <>
constexpr OptionType OptionTypeOf<Duration>() {
  return OptionType::kDuration;
}
template <>
constexpr OptionType OptionTypeOf<ByteSize>() {
  return OptionType::kBytes;
}

// T: std::string, int64_t, bool, Duration or ByteSize.
template <class T>
struct ConfigOption : OptionSpec {
  // NOLINTNEXTLINE(google-explicit-constructor): a table's entry reads {{.key = …}}
  constexpr ConfigOption(OptionSpec spec) : OptionSpec(spec) { type = OptionTypeOf<T>(); }
};

class Config {
 public:
  // `file` may be empty (all defaults). `overrides` are "key=value" and win over the file.
  // kInvalidArgument: every problem, a line each ("baton.yaml:3: unknown key …"); kNotFound: the
  // file cannot be read.
  static absl::StatusOr<Config> Load(const std::string& file,
                                     const std::vector<std::string>& overrides = {});
  // The same of a text; `name` stands for the file in messages.
  static absl::StatusOr<Config> Parse(const std::string& yaml, const std::string& name,
                                      const std::vector<std::string>& overrides = {});

  template <class T>
  T Get(const ConfigOption<T>& option) const;

  // Whether the file or an override says it; else Get gives the default.
  bool IsSet(const OptionSpec& option) const { return values_.contains(option.key); }

  // Every option with the value in force as text, by key: to compare whole configurations.
  std::vector<std::pair<std::string, std::string>> Effective() const;

 private:
  // What values must obey together; every problem is added to `problems`.
  void CheckTogether(std::vector<std::string>* problems) const;
  void CheckAuthenticated(std::vector<std::string>* problems) const;
  void CheckReachable(std::vector<std::string>* problems) const;

  std::string TextOf(const OptionSpec& option) const;

  std::map<std::string, std::string, std::less<>> values_;  // valid; defaults are not in it
};

template <>
std::string Config::Get(const ConfigOption<std::string>& option) const;
template <>
int64_t Config::Get(const ConfigOption<int64_t>& option) const;
template <>
bool Config::Get(const ConfigOption<bool>& option) const;
template <>
Duration Config::Get(const ConfigOption<Duration>& option) const;
template <>
ByteSize Config::Get(const ConfigOption<ByteSize>& option) const;

// How many synced copies a submission needs: store.min-copies, but 1 without ZooKeeper, where there
// is one process.
int64_t MinCopies(const Config& config);

// "a, b ,c" without spaces and empty parts: the value of the options that are lists.
std::vector<std::string> SplitList(std::string_view text);

}  // namespace baton
