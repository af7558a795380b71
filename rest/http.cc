#include "rest/http.h"

#include <algorithm>

namespace baton {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ToLower(x) == ToLower(y); });
}

std::string Find(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (SameName(key, name)) return value;
  }
  return "";
}

void Replace(Headers& headers, std::string_view name, std::string value) {
  std::erase_if(headers, [name](const auto& header) { return SameName(header.first, name); });
  headers.emplace_back(std::string(name), std::move(value));
}

}  // namespace

std::string HttpRequest::Header(std::string_view name) const { return Find(headers, name); }

void HttpRequest::SetHeader(std::string_view name, std::string value) {
  Replace(headers, name, std::move(value));
}

std::string HttpResponse::Header(std::string_view name) const { return Find(headers, name); }

void HttpResponse::SetHeader(std::string_view name, std::string value) {
  Replace(headers, name, std::move(value));
}

}  // namespace baton
