#include "rest/http.h"

#include "absl/strings/match.h"

namespace baton {

bool SameHeaderName(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string Find(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (SameHeaderName(key, name)) return value;
  }
  return "";
}

void Replace(Headers& headers, std::string_view name, std::string value) {
  std::erase_if(headers, [name](const auto& header) { return SameHeaderName(header.first, name); });
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
