// HttpTransport over TCP, on Boost.Beast, with kept-alive connections: one pool for each address.
//
// A pooled connection may have been closed by the other side a moment ago. An exchange that fails
// on one before a byte of the answer came is repeated once on a fresh connection, except for POST,
// which is never sent over a pooled one: the forwarder sends submissions as PUT with their id.
//
// Methods: any thread. The pool of threads must outlive it.

#pragma once

#include <cstddef>
#include <cstdint>

#include "base/asio_executor.h"
#include "rest/http.h"

namespace baton {

struct HttpTransportLimits {
  // More exchanges wait, within their timeouts. Well above rest.max-log-followers: those hold
  // theirs for seconds and must not keep others waiting.
  size_t max_connections_per_address = 1024;
  size_t max_idle_per_address = 32;
  Duration idle_timeout = std::chrono::seconds(30);  // less than that of the server
  Duration connect_timeout = std::chrono::seconds(2);
  uint64_t max_body_bytes = 256 << 20;
};

HttpTransportPtr NewBeastHttpTransport(ThreadPool& pool, const HttpTransportLimits& limits);

}  // namespace baton
