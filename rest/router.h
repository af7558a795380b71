// From method and path to what answers: patterns as "/jobs/:jobid", each served with and without
// "/v1" in front (as Flink does). HEAD is served wherever GET is.
//
// Immutable once its routes are added; then safe from any thread.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rest/http.h"
#include "rest/leader_call.h"

namespace baton {

struct RoutedRequest {
  HttpRequest http;
  std::map<std::string, std::string> params;  // of the path, decoded, without the colon
  std::map<std::string, std::string> query;   // decoded; of equal names the first

  const std::string& Param(const std::string& name) const { return params.at(name); }
  std::optional<std::string> Query(const std::string& name) const;
};

// Any replica answers this itself.
using LocalRoute = std::function<HttpResponse(const RoutedRequest&)>;
// Checks what can be checked anywhere and says what to ask the leader, or refuses.
using LeaderRoute = std::function<std::variant<LeaderCall, HttpResponse>(const RoutedRequest&)>;
// Any replica answers this itself, later and from any thread.
using LocalWork = std::function<void(const RoutedRequest&, HttpReply)>;
using Route = std::variant<LocalRoute, LeaderRoute, LocalWork>;

class Router {
 public:
  struct Match {
    const Route* route = nullptr;
    RoutedRequest request;
  };

  // Of two patterns that fit, the one added first wins.
  void Add(std::string method, std::string_view pattern, Route route);

  // The route, or the answer to a request that has none: 404, 405 with Allow, 400.
  std::variant<Match, HttpResponse> Find(HttpRequest request) const;

 private:
  struct Entry {
    std::string method;
    std::vector<std::string> segments;
    Route route;
  };

  std::vector<Entry> entries_;
};

}  // namespace baton
