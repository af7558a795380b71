#include "rest/uri.h"

#include <utility>

namespace baton {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The part before `separator`; `text` keeps what is behind it.
std::string_view TakeUntil(char separator, std::string_view& text) {
  const size_t at = text.find(separator);
  const std::string_view part = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return part;
}

bool ParseQuery(std::string_view text, std::map<std::string, std::string>& query) {
  while (!text.empty()) {
    std::string_view value = TakeUntil('&', text);
    if (value.empty()) continue;
    std::optional<std::string> name = PercentDecode(TakeUntil('=', value), PlusSign::kSpace);
    std::optional<std::string> decoded = PercentDecode(value, PlusSign::kSpace);
    if (!name || !decoded) return false;
    query.emplace(std::move(*name), std::move(*decoded));
  }
  return true;
}

}  // namespace

std::optional<std::string> PercentDecode(std::string_view text, PlusSign plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == PlusSign::kSpace) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexValue(text[i + 1]);
      const int low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

std::optional<Uri> ParseUri(std::string_view target) {
  if (target.empty() || target.front() != '/') return std::nullopt;
  target = target.substr(0, target.find('#'));
  Uri uri;
  std::string_view rest = target;
  std::string_view path = TakeUntil('?', rest);
  uri.path = std::string(path);
  while (!path.empty()) {
    const std::string_view segment = TakeUntil('/', path);
    if (segment.empty()) continue;
    std::optional<std::string> decoded = PercentDecode(segment, PlusSign::kLiteral);
    if (!decoded) return std::nullopt;
    uri.segments.push_back(std::move(*decoded));
  }
  if (!ParseQuery(rest, uri.query)) return std::nullopt;
  return uri;
}

}  // namespace baton
