#include "rest/router.h"

#include <cassert>
#include <set>
#include <span>
#include <utility>

#include "fmt/core.h"
#include "rest/responses.h"
#include "rest/uri.h"

namespace baton {
namespace {

using Params = std::map<std::string, std::string>;

std::optional<Params> MatchSegments(const std::vector<std::string>& pattern,
                                    std::span<const std::string> path) {
  if (pattern.size() != path.size()) return std::nullopt;
  Params params;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i].front() == ':') {
      params.emplace(pattern[i].substr(1), path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return params;
}

HttpResponse MethodNotAllowed(const HttpRequest& request, const std::set<std::string>& methods) {
  std::string allow;
  for (const std::string& method : methods) allow += (allow.empty() ? "" : ", ") + method;
  HttpResponse response =
      ErrorResponse(405, fmt::format("{} is not allowed here; allowed: {}", request.method, allow));
  response.SetHeader("Allow", allow);
  return response;
}

}  // namespace

std::optional<std::string> RoutedRequest::Query(const std::string& name) const {
  auto it = query.find(name);
  if (it == query.end()) return std::nullopt;
  return it->second;
}

void Router::Add(std::string method, std::string_view pattern, Route route) {
  std::optional<Uri> uri = ParseUri(pattern);
  assert(uri && !uri->segments.empty());
  entries_.push_back(Entry{std::move(method), std::move(uri->segments), std::move(route)});
}

std::variant<Router::Match, HttpResponse> Router::Find(HttpRequest request) const {
  std::optional<Uri> uri = ParseUri(request.target);
  if (!uri) {
    return ErrorResponse(400, fmt::format("Bad request: cannot read the target {}: expected a path "
                                          "with valid percent escapes",
                                          request.target));
  }
  std::span<const std::string> path = uri->segments;
  if (!path.empty() && path.front() == "v1") path = path.subspan(1);
  const std::string method = request.method == "HEAD" ? "GET" : request.method;

  std::set<std::string> allowed;
  for (const Entry& entry : entries_) {
    std::optional<Params> params = MatchSegments(entry.segments, path);
    if (!params) continue;
    if (entry.method == method) {
      return Match{&entry.route,
                   RoutedRequest{std::move(request), std::move(*params), std::move(uri->query)}};
    }
    allowed.insert(entry.method);
    if (entry.method == "GET") allowed.insert("HEAD");
  }
  if (!allowed.empty()) return MethodNotAllowed(request, allowed);
  return ErrorResponse(404, "Not found: " + uri->path);
}

}  // namespace baton
