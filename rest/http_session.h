// One connection of the HTTP server; internal to rest/.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
// Boost 1.74's Asio needs <utility> first in C++20.
#include <boost/asio/ip/tcp.hpp>

#include "rest/beast_server.h"
#include "rest/byte_budget.h"

namespace baton {

// What the sessions of one server share. Any thread.
struct HttpSessionContext {
  HttpServerLimits limits;
  RequestHandler* handler = nullptr;
  std::atomic<bool> draining{false};
  std::shared_ptr<ByteBudget> reading;
  std::shared_ptr<ByteBudget> writing;
  std::function<void(uint64_t id)> on_end;
};

// Lives on the strand that is its socket's executor, and keeps itself alive by its pending
// operations; methods may be called from any thread. It ends, and says so to the context, when the
// connection is closed and no reply is outstanding.
class HttpSession {
 public:
  static std::shared_ptr<HttpSession> New(uint64_t id, boost::asio::ip::tcp::socket socket,
                                          std::shared_ptr<HttpSessionContext> context);

  virtual ~HttpSession() = default;

  virtual void Serve() = 0;
  // Answers 503 without reading a request: there are too many connections.
  virtual void Refuse() = 0;
  // The context is draining: closes now if no request is running, else after its answer.
  virtual void Drain() = 0;
  virtual void Abort() = 0;
};

}  // namespace baton
