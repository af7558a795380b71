// The HTTP/1.1 server, on Boost.Beast: bounded in header and body size, in time and in
// connections.
//
// What is wrong with a request is answered in JSON: 400 malformed, 408 too slow, 413 body too large
// (refused by its Content-Length before it is read), 431 header too large, 503 too many
// connections. Out of descriptors, connections wait in the kernel's queue. One request at a time is
// taken from a connection, so that pipelined ones are answered in their order.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/asio_executor.h"
#include "base/time.h"
#include "rest/http.h"

namespace baton {

struct HttpServerLimits {
  uint32_t max_header_bytes = 32 << 10;  // rest.max-header-bytes
  uint64_t max_body_bytes = 8 << 20;     // rest.max-body-bytes
  // Of all connections together; beyond, the slowest one is ended (ByteBudget).
  uint64_t max_reading_bytes = 64 << 20;  // rest.max-reading-bytes; bodies that are arriving: 503
  uint64_t max_writing_bytes = 32 << 20;  // rest.max-writing-bytes; answers not yet read: cut off
  size_t max_connections = 10000;         // rest.max-connections
  // rest.read-timeout, for each; of the whole, however its bytes are spread:
  Duration header_timeout = std::chrono::seconds(30);
  Duration body_timeout = std::chrono::seconds(30);
  Duration write_timeout = std::chrono::minutes(1);  // rest.write-timeout; likewise
  Duration idle_timeout = std::chrono::minutes(5);   // rest.idle-timeout; between requests

  bool operator==(const HttpServerLimits&) const = default;
};

// Listens from Start to Stop. Methods: any thread. Owned by the entrypoint; the pool and the
// handler must outlive what is running when Stop says that it is done.
class HttpServer {
 public:
  // Without Stop: closes everything at once.
  virtual ~HttpServer() = default;

  // "host:port" with the port really bound.
  virtual std::string address() const = 0;

  // Stops accepting, closes idle connections, and lets running requests finish for at most `drain`.
  // `done` runs once, on a thread of the pool, when no connection is left.
  virtual void Stop(Duration drain, absl::AnyInvocable<void()> done) = 0;
};

// kInvalidArgument: no such address; kUnavailable: it cannot be bound.
absl::StatusOr<std::unique_ptr<HttpServer>> StartHttpServer(ThreadPool& pool,
                                                            const std::string& address,
                                                            const HttpServerLimits& limits,
                                                            RequestHandler& handler);

}  // namespace baton
