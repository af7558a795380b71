#include "rest/beast_transport.h"

#include "rest/http_exchange.h"

namespace baton {

SocketPtr ConnectionPool::TakeIdle(Host& host) {
  if (host.idle.empty()) return nullptr;
  SocketPtr socket = std::move(host.idle.back().socket);
  host.idle.pop_back();
  return socket;
}

// Of addresses that are no longer asked too: the connections to an old leader do not stay.
void ConnectionPool::DropStale() {
  const Clock::time_point oldest = Clock::now() - limits_.idle_timeout;
  for (auto it = hosts_.begin(); it != hosts_.end();) {
    Host& host = it->second;
    std::erase_if(host.idle, [oldest](const Idle& idle) { return idle.since < oldest; });
    const bool unused = host.idle.empty() && host.in_use == 0 && host.waiting.empty();
    it = unused ? hosts_.erase(it) : std::next(it);
  }
}

void ConnectionPool::Acquire(const std::string& address, Granted granted) {
  SocketPtr socket;
  {
    std::lock_guard lock(mutex_);
    DropStale();
    Host& host = hosts_[address];
    if (host.in_use >= limits_.max_connections_per_address) {
      host.waiting.push_back(std::move(granted));
      return;
    }
    ++host.in_use;
    socket = TakeIdle(host);
  }
  granted(std::move(socket));
}

void ConnectionPool::Release(const std::string& address, SocketPtr socket) {
  Granted next;
  {
    std::lock_guard lock(mutex_);
    Host& host = hosts_[address];
    if (!host.waiting.empty()) {
      next = std::move(host.waiting.front());
      host.waiting.pop_front();
    } else {
      --host.in_use;
      if (socket && host.idle.size() < limits_.max_idle_per_address) {
        host.idle.push_back(Idle{std::move(socket), Clock::now()});
      }
    }
  }
  if (next) next(std::move(socket));
}

namespace {

class BeastTransport final : public HttpTransport {
 public:
  BeastTransport(ThreadPool& pool, const HttpTransportLimits& limits)
      : io_(pool.io_context()),
        limits_(limits),
        connections_(std::make_shared<ConnectionPool>(limits)) {}

  void Send(const std::string& address, HttpRequest request, Duration timeout, ExecutorPtr executor,
            Callback callback) override {
    StartHttpExchange(io_, connections_, limits_, address, std::move(request), timeout,
                      BindTo(std::move(executor), std::move(callback)));
  }

 private:
  boost::asio::io_context& io_;
  const HttpTransportLimits limits_;
  const std::shared_ptr<ConnectionPool> connections_;
};

}  // namespace

HttpTransportPtr NewBeastHttpTransport(ThreadPool& pool, const HttpTransportLimits& limits) {
  return std::make_shared<BeastTransport>(pool, limits);
}

}  // namespace baton
