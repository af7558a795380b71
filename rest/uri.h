// The target of a request taken apart (RFC 3986).

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

struct Uri {
  std::string path;                          // as received, without the query
  std::vector<std::string> segments;         // decoded; "/v1/jobs/" has two
  std::map<std::string, std::string> query;  // decoded; of equal names the first
};

// None: a broken percent escape, or no path.
std::optional<Uri> ParseUri(std::string_view target);

enum class PlusSign { kLiteral, kSpace };
std::optional<std::string> PercentDecode(std::string_view text, PlusSign plus);

}  // namespace baton
