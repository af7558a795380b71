// One request and its answer over one connection, and the connections kept for the next; internal
// to rest/.

#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>
// Boost 1.74's Asio needs <utility> first in C++20.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "rest/beast_transport.h"

namespace baton {

using SocketPtr = std::unique_ptr<boost::asio::ip::tcp::socket>;

// Gives out the right to one connection to an address, with an idle one where there is one. Any
// thread.
class ConnectionPool {
 public:
  // Null: connect yourself. Called on the caller's or on another's thread, without locks.
  using Granted = std::function<void(SocketPtr idle)>;

  explicit ConnectionPool(const HttpTransportLimits& limits) : limits_(limits) {}

  void Acquire(const std::string& address, Granted granted);
  // Gives the right back; `socket` null: the connection is of no more use.
  void Release(const std::string& address, SocketPtr socket);

 private:
  using Clock = std::chrono::steady_clock;
  struct Idle {
    SocketPtr socket;
    Clock::time_point since;
  };
  struct Host {
    size_t in_use = 0;
    std::vector<Idle> idle;  // the newest last
    std::deque<Granted> waiting;
  };

  SocketPtr TakeIdle(Host& host);
  void DropStale();

  const HttpTransportLimits limits_;
  std::mutex mutex_;
  std::map<std::string, Host> hosts_;  // guarded by mutex_
};

void StartHttpExchange(boost::asio::io_context& io, std::shared_ptr<ConnectionPool> pool,
                       const HttpTransportLimits& limits, const std::string& address,
                       HttpRequest request, Duration timeout, HttpTransport::Callback callback);

}  // namespace baton
