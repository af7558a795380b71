#include "base/config_values.h"

#include <charconv>

#include "base/status.h"
#include "base/suggest.h"
#include "fmt/format.h"

namespace baton {
namespace {

std::string ChoiceProblem(std::string_view choices, std::string_view text) {
  for (std::string_view rest = choices;;) {
    const auto bar = rest.find('|');
    if (rest.substr(0, bar) == text) return "";
    if (bar == rest.npos) break;
    rest.remove_prefix(bar + 1);
  }
  return fmt::format("must be one of {}, not {}", choices, Quoted(text));
}

}  // namespace

absl::StatusOr<int64_t> ParseScalar(OptionType type, std::string_view text) {
  switch (type) {
    case OptionType::kText:
      break;
    case OptionType::kInteger: {
      int64_t number = 0;
      const char* const end = text.data() + text.size();
      const auto [rest, error] = std::from_chars(text.data(), end, number);
      if (error == std::errc() && rest == end) return number;
      return InvalidArgument("must be an integer, not {}", Quoted(text));
    }
    case OptionType::kBoolean:
      if (text == "true" || text == "false") return text == "true";
      return InvalidArgument("must be true or false, not {}", Quoted(text));
    case OptionType::kDuration: {
      const auto duration = ParseDuration(text);
      if (!duration.ok()) return At(Quoted(text), duration.status());
      return duration->count();
    }
    case OptionType::kBytes: {
      const auto size = ParseBytes(text);
      if (!size.ok()) return At(Quoted(text), size.status());
      return static_cast<int64_t>(size->value);
    }
  }
  return InvalidArgument("is no number");
}

std::string ValueProblem(const OptionSpec& option, std::string_view text) {
  if (option.type == OptionType::kText) {
    for (char c : text) {
      if (static_cast<unsigned char>(c) < 0x20) return "must not contain control characters";
    }
    return option.choices.empty() ? "" : ChoiceProblem(option.choices, text);
  }
  const auto value = ParseScalar(option.type, text);
  if (!value.ok()) return Message(value.status());
  const bool low = !option.least.empty() && *value < *ParseScalar(option.type, option.least);
  const bool high = !option.most.empty() && *value > *ParseScalar(option.type, option.most);
  if (low || high) return fmt::format("must be {}..{}, not {}", option.least, option.most, text);
  return "";
}

}  // namespace baton
