#include "rest/path_params.h"

#include <charconv>

#include "base/status.h"

namespace baton {
namespace {

template <class T>
std::optional<T> ParseNumber(std::string_view text, T most) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > most) {
    return std::nullopt;
  }
  return number;
}

absl::Status Unreadable(std::string_view kind, std::string_view name, std::string_view text,
                        std::string_view expected) {
  return InvalidArgument(
      "Bad request, could not parse parameters: Cannot resolve {} parameter ({}) from value "
      "\"{}\": expected {}.",
      kind, name, text, expected);
}

}  // namespace

absl::StatusOr<JobId> JobIdParam(const RoutedRequest& request) {
  const std::string& text = request.Param("jobid");
  absl::StatusOr<JobId> id = JobId::Parse(text);
  if (id.ok()) return id;
  return Unreadable("path", "jobid", text, "32 hex digits");
}

absl::StatusOr<uint32_t> NumberParam(const RoutedRequest& request, const std::string& name) {
  const std::string& text = request.Param(name);
  if (auto number = ParseNumber<uint32_t>(text, UINT32_MAX)) return *number;
  return Unreadable("path", name, text, "a number");
}

absl::StatusOr<uint64_t> NumberQuery(const RoutedRequest& request, const std::string& name,
                                     uint64_t otherwise, uint64_t most) {
  const std::optional<std::string> text = request.Query(name);
  if (!text) return otherwise;
  if (auto number = ParseNumber<uint64_t>(*text, most)) return *number;
  return Unreadable("query", name, *text, fmt::format("0 to {}", most));
}

absl::StatusOr<bool> FlagQuery(const RoutedRequest& request, const std::string& name) {
  const std::optional<std::string> text = request.Query(name);
  if (!text || *text == "false") return false;
  if (*text == "true" || text->empty()) return true;
  return Unreadable("query", name, *text, "true or false");
}

}  // namespace baton
