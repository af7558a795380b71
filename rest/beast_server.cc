#include "rest/beast_server.h"

#include <map>
#include <mutex>
#include <utility>
#include <vector>
// Boost 1.74's Asio needs <utility> first in C++20.
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include "base/log.h"
#include "base/status.h"
#include "rest/http_address.h"
#include "rest/http_session.h"

namespace baton {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

// Connections above the limit that are told so; those above that are closed without a word.
constexpr size_t kRefusalsAtOnce = 64;

// The sessions of one server, and whoever waits for the last to end. Any thread. Sessions report
// their end to it, so it outlives the server while one is left.
class SessionTable : public std::enable_shared_from_this<SessionTable> {
 public:
  void Add(uint64_t id, std::weak_ptr<HttpSession> session) {
    std::lock_guard lock(mutex_);
    sessions_.emplace(id, std::move(session));
  }

  void Remove(uint64_t id) {
    absl::AnyInvocable<void()> emptied;
    {
      std::lock_guard lock(mutex_);
      sessions_.erase(id);
      if (sessions_.empty()) emptied = std::exchange(on_empty_, nullptr);
    }
    if (emptied) emptied();
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return sessions_.size();
  }

  void ForEach(void (HttpSession::*method)()) {
    std::vector<std::shared_ptr<HttpSession>> alive;
    {
      std::lock_guard lock(mutex_);
      for (const auto& [id, weak] : sessions_) {
        if (auto session = weak.lock()) alive.push_back(std::move(session));
      }
    }
    for (const auto& session : alive) (session.get()->*method)();
  }

  // Runs `callback` once when there is no session; at once if there is none.
  void WhenEmpty(absl::AnyInvocable<void()> callback) {
    {
      std::lock_guard lock(mutex_);
      if (!sessions_.empty()) {
        on_empty_ = std::move(callback);
        return;
      }
    }
    callback();
  }

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, std::weak_ptr<HttpSession>> sessions_;
  absl::AnyInvocable<void()> on_empty_;
};

// Accepts. Lives on its own strand.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(asio::io_context& io, const HttpServerLimits& limits, RequestHandler& handler)
      : io_(io), acceptor_(asio::make_strand(io)), timer_(acceptor_.get_executor()) {
    context_->limits = limits;
    context_->handler = &handler;
    context_->reading = std::make_shared<ByteBudget>(limits.max_reading_bytes);
    context_->writing = std::make_shared<ByteBudget>(limits.max_writing_bytes);
    context_->on_end = [table = table_](uint64_t id) { table->Remove(id); };
  }

  absl::Status Bind(const std::string& address) {
    absl::StatusOr<HostAndPort> parsed = ParseHostAndPort(address);
    if (!parsed.ok()) return parsed.status();
    ErrorCode ec;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(parsed->host, parsed->port, tcp::resolver::passive, ec);
    if (ec || found.empty()) {
      return InvalidArgument("cannot resolve {}: {}", address, ec.message());
    }
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return Unavailable("cannot listen on {}: {}", address, ec.message());
    address_ = FormatHostAndPort(parsed->host, acceptor_.local_endpoint().port());
    return absl::OkStatus();
  }

  const std::string& address() const { return address_; }

  void Start() {
    asio::dispatch(acceptor_.get_executor(), [self = shared_from_this()] { self->Accept(); });
  }

  void Stop(Duration drain, absl::AnyInvocable<void()> done) {
    context_->draining = true;
    asio::dispatch(acceptor_.get_executor(),
                   [self = shared_from_this(), drain, done = std::move(done)]() mutable {
                     self->StopOnStrand(drain, std::move(done));
                   });
  }

 private:
  void Accept() {
    acceptor_.async_accept(asio::make_strand(io_),
                           [self = shared_from_this()](ErrorCode ec, tcp::socket socket) {
                             self->OnAccept(ec, std::move(socket));
                           });
  }

  void OnAccept(ErrorCode ec, tcp::socket socket) {
    if (!acceptor_.is_open()) return;
    if (ec) {
      // Out of descriptors, most likely: those of other connections come back in time.
      WarnOfFailure(ec);
      timer_.expires_after(std::chrono::milliseconds(100));
      return timer_.async_wait([self = shared_from_this()](ErrorCode cancelled) {
        if (!cancelled && self->acceptor_.is_open()) self->Accept();
      });
    }
    Admit(std::move(socket));
    Accept();
  }

  // Once a minute: it is tried ten times a second.
  void WarnOfFailure(ErrorCode ec) {
    const auto now = std::chrono::steady_clock::now();
    if (now - warned_at_ < std::chrono::minutes(1)) return;
    warned_at_ = now;
    log::Warning("accepting REST connections fails cause={} connections={}", ec.message(),
                 table_->size());
  }

  void Admit(tcp::socket socket) {
    const size_t others = table_->size();
    const size_t limit = context_->limits.max_connections;
    if (others >= limit + kRefusalsAtOnce) return;
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const uint64_t id = ++last_session_;
    auto session = HttpSession::New(id, std::move(socket), context_);
    table_->Add(id, session);
    others < limit ? session->Serve() : session->Refuse();
  }

  void StopOnStrand(Duration drain, absl::AnyInvocable<void()> done) {
    ErrorCode ignored;
    acceptor_.close(ignored);
    table_->WhenEmpty([self = shared_from_this(), done = std::move(done)]() mutable {
      asio::dispatch(self->acceptor_.get_executor(), [self] { self->timer_.cancel(); });
      done();
    });
    table_->ForEach(&HttpSession::Drain);
    timer_.expires_after(drain);
    timer_.async_wait([table = table_](ErrorCode cancelled) {
      if (!cancelled) table->ForEach(&HttpSession::Abort);
    });
  }

  asio::io_context& io_;
  tcp::acceptor acceptor_;
  asio::steady_timer timer_;
  std::string address_;  // constant after Bind
  const std::shared_ptr<SessionTable> table_ = std::make_shared<SessionTable>();
  const std::shared_ptr<HttpSessionContext> context_ = std::make_shared<HttpSessionContext>();
  uint64_t last_session_ = 0;
  std::chrono::steady_clock::time_point warned_at_{};
};

class BeastServer final : public HttpServer {
 public:
  explicit BeastServer(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}

  ~BeastServer() override {
    if (!stopped_) listener_->Stop(Duration::zero(), [] {});
  }

  std::string address() const override { return listener_->address(); }

  void Stop(Duration drain, absl::AnyInvocable<void()> done) override {
    stopped_ = true;
    listener_->Stop(drain, std::move(done));
  }

 private:
  const std::shared_ptr<Listener> listener_;
  std::atomic<bool> stopped_{false};
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> StartHttpServer(ThreadPool& pool,
                                                            const std::string& address,
                                                            const HttpServerLimits& limits,
                                                            RequestHandler& handler) {
  auto listener = std::make_shared<Listener>(pool.io_context(), limits, handler);
  if (absl::Status bound = listener->Bind(address); !bound.ok()) return bound;
  listener->Start();
  return std::make_unique<BeastServer>(std::move(listener));
}

}  // namespace baton
