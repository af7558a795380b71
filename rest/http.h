// HTTP messages and the two seams around them, free of Beast: RequestHandler above (a server hands
// it requests), HttpTransport below (the forwarder and nobody else sends through it).

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"

namespace baton {

// Names of headers are the same in any case.
bool SameHeaderName(std::string_view a, std::string_view b);

struct HttpRequest {
  std::string method;                                        // "GET"
  std::string target;                                        // "/v1/jobs?x=y", as received
  std::vector<std::pair<std::string, std::string>> headers;  // names as received
  std::string body;

  // The first header with this name (any case); empty if there is none.
  std::string Header(std::string_view name) const;
  void SetHeader(std::string_view name, std::string value);  // replaces
};

struct HttpResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  std::string Header(std::string_view name) const;
  void SetHeader(std::string_view name, std::string value);
};

// Answers exactly once, from any thread, in bounded time (P8).
using HttpReply = absl::AnyInvocable<void(HttpResponse)>;

class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void Handle(HttpRequest request, HttpReply reply) = 0;  // any thread
};

class HttpTransport {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<HttpResponse>)>;

  virtual ~HttpTransport() = default;

  // One exchange with "host:port" over a kept-alive connection. kUnavailable: refused or never
  // sent, it had no effect; kUnknown: sent, but no whole answer came; kDeadlineExceeded: likewise,
  // late. Any thread; the callback comes on `executor`.
  virtual void Send(const std::string& address, HttpRequest request, Duration timeout,
                    ExecutorPtr executor, Callback callback) = 0;
};
using HttpTransportPtr = std::shared_ptr<HttpTransport>;

}  // namespace baton
