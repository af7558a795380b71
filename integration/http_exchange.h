// One HTTP exchange over a socket of its own, as a client without any cleverness sees it: no
// retries, no redirects, no pooled connections, and bytes that no client library would send.

#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace baton::integration {

struct HttpReply {
  int status = 0;
  std::string head;  // status line and headers
  std::string body;

  // The first header with this name (any case); empty if there is none.
  std::string Header(std::string_view name) const;
};

// Longer than a replica holds a request while nobody leads (rest.leader-wait).
inline constexpr std::chrono::milliseconds kExchangeTimeout = std::chrono::seconds(35);

// Sends `bytes` as they are to "host:port" and reads one response. kUnavailable: the connection was
// refused or broke before a whole response came; kDeadlineExceeded: silence. A server that answers
// before it has read everything is heard.
absl::StatusOr<HttpReply> Exchange(const std::string& address, std::string_view bytes,
                                   std::chrono::milliseconds timeout = kExchangeTimeout);

// The same, but the client rests after the first `part` bytes until `go_on`.
absl::StatusOr<HttpReply> ExchangeInTwoParts(const std::string& address, std::string_view bytes,
                                             size_t part, const std::atomic<bool>& go_on,
                                             std::chrono::milliseconds timeout = kExchangeTimeout);

// A well-formed request. `headers` are whole lines, each ended by "\r\n".
std::string RequestBytes(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view headers = "Content-Type: application/json\r\n");

absl::StatusOr<HttpReply> Get(const std::string& address, std::string_view target,
                              std::chrono::milliseconds timeout = kExchangeTimeout);

}  // namespace baton::integration
