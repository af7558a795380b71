#include "rpc/asio_frame_transport.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <charconv>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>
// Boost 1.74's Asio needs <utility> first in C++20.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include "base/log.h"
#include "base/status.h"
#include "rpc/asio_frame_connection.h"

namespace baton {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 1024;
constexpr Duration kAcceptRetry = std::chrono::milliseconds(100);

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> ParseAddress(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return InvalidArgument("'{}' is no address; use host:port", address);
  }
  HostPort parsed{address.substr(0, colon), address.substr(colon + 1)};
  if (parsed.host.size() > 2 && parsed.host.front() == '[' && parsed.host.back() == ']') {
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  }
  uint16_t number = 0;
  const char* end = parsed.port.data() + parsed.port.size();
  const auto [last, error] = std::from_chars(parsed.port.data(), end, number);
  if (error != std::errc() || last != end) {
    return InvalidArgument("'{}' has no port number; use host:port", address);
  }
  return parsed;
}

std::optional<tcp::endpoint> NumericEndpoint(const HostPort& address) {
  error_code error;
  const auto host = asio::ip::make_address(address.host, error);
  if (error) return std::nullopt;
  return tcp::endpoint(host, static_cast<uint16_t>(std::stoi(address.port)));
}

std::string Format(const tcp::endpoint& endpoint) {
  const bool v6 = endpoint.address().is_v6();
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", endpoint.address().to_string(), v6 ? "]" : "",
                     endpoint.port());
}

std::string PeerOf(const tcp::socket& socket) {
  error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  return error ? "unknown" : Format(endpoint);
}

// User code that a TaskManager starts must not inherit its sockets.
void CloseOnExec(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

// A peer whose host is lost says nothing, not even that it is gone. Without this a link on which
// nobody asks anything (a worker's to a standby) would stay half-open for ever. It proves nobody
// dead: the link breaks, no more.
void NoticeSilence(int fd) {
  const int on = 1, idle_s = 10, interval_s = 5, probes = 3;
  const unsigned int unacknowledged_ms = 25'000;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

// The socket leaves the strand it was made on; null when it broke already.
FrameConnectionPtr TakeOver(ThreadPool& pool, tcp::socket socket, ExecutorPtr executor) {
  error_code error;
  CloseOnExec(socket.native_handle());
  NoticeSilence(socket.native_handle());
  socket.set_option(tcp::no_delay(true), error);
  std::string peer = PeerOf(socket);
  const int fd = socket.release(error);
  if (error) return nullptr;
  return NewAsioFrameConnection(pool, fd, std::move(peer), std::move(executor));
}

// One attempt to connect: tries every address of a host in turn. Lives on a strand of its own, kept
// alive by its pending operation; ends with the callback.
class Connector : public std::enable_shared_from_this<Connector> {
 public:
  Connector(ThreadPool& pool, std::string address, ExecutorPtr executor,
            FrameTransport::ConnectCallback callback)
      : pool_(pool),
        address_(std::move(address)),
        executor_(std::move(executor)),
        callback_(std::move(callback)),
        strand_(asio::make_strand(pool.io_context())),
        socket_(strand_),
        resolver_(strand_) {}

  void Run(Duration timeout) {
    asio::post(strand_, [self = shared_from_this(), timeout] {
      self->StartTimer(timeout);
      self->Resolve();
    });
  }

 private:
  void StartTimer(Duration timeout) {
    timer_ = executor_->PostAfter(timeout, [self = shared_from_this(), timeout] {
      asio::post(self->strand_, [self, timeout] {
        self->Finish(
            DeadlineExceeded("no answer from {} within {} ms", self->address_, ToMillis(timeout)));
      });
    });
  }

  void Resolve() {
    const auto parsed = ParseAddress(address_);
    if (!parsed.ok()) return Finish(parsed.status());
    if (const auto numeric = NumericEndpoint(*parsed)) {
      endpoints_.push_back(*numeric);
      return TryNext();
    }
    resolver_.async_resolve(parsed->host, parsed->port,
                            [self = shared_from_this()](const error_code& error, auto results) {
                              self->OnResolved(error, {results.begin(), results.end()});
                            });
  }

  void OnResolved(const error_code& error, std::vector<tcp::endpoint> endpoints) {
    if (error == asio::error::host_not_found_try_again) {
      return Finish(DeadlineExceeded("{} cannot be resolved now: {}", address_, error.message()));
    }
    if (error || endpoints.empty()) {
      return Finish(InvalidArgument("{} cannot be resolved: {}", address_, error.message()));
    }
    endpoints_ = std::move(endpoints);
    TryNext();
  }

  void TryNext() {
    if (!callback_) return;  // timed out
    if (next_ == endpoints_.size()) return Finish(WhyNot());
    error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(
        endpoints_[next_++],
        [self = shared_from_this()](const error_code& error) { self->OnConnected(error); });
  }

  void OnConnected(error_code error) {
    if (!callback_) return;
    if (!error && ConnectedToItself()) error = asio::error::connection_refused;
    if (error) {
      all_refused_ = all_refused_ && error == asio::error::connection_refused;
      last_error_ = error;
      return TryNext();
    }
    auto connection = TakeOver(pool_, std::move(socket_), executor_);
    if (!connection) return Finish(Aborted("the connection to {} broke at once", address_));
    Finish(std::move(connection));
  }

  // Linux joins a socket with itself when the port that it asks for happens to be its own: then
  // nobody listens there.
  bool ConnectedToItself() const {
    error_code local, remote;
    return socket_.local_endpoint(local) == socket_.remote_endpoint(remote) && !local && !remote;
  }

  // Only a refusal at every address of the host proves that nobody listens there.
  absl::Status WhyNot() const {
    if (all_refused_) return Unavailable("{} refused the connection", address_);
    if (last_error_ == asio::error::timed_out || last_error_ == asio::error::host_unreachable ||
        last_error_ == asio::error::network_unreachable) {
      return DeadlineExceeded("{} cannot be reached: {}", address_, last_error_.message());
    }
    return Aborted("cannot connect to {}: {}", address_, last_error_.message());
  }

  void Finish(absl::StatusOr<FrameConnectionPtr> result) {
    if (!callback_) return;
    executor_->Cancel(timer_);
    executor_->Post([callback = std::move(callback_), result = std::move(result)]() mutable {
      callback(std::move(result));
    });
    callback_ = nullptr;
    error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
  }

  ThreadPool& pool_;
  const std::string address_;
  const ExecutorPtr executor_;
  FrameTransport::ConnectCallback callback_;  // null once it is called
  asio::strand<asio::io_context::executor_type> strand_;
  tcp::socket socket_;
  tcp::resolver resolver_;
  TimerId timer_ = kNoTimer;
  std::vector<tcp::endpoint> endpoints_;
  size_t next_ = 0;
  bool all_refused_ = true;
  error_code last_error_;
};

// Accepts on a strand of its own; the pending accept keeps it alive until Stop.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(ThreadPool& pool, ExecutorPtr executor, FrameTransport::AcceptCallback on_accept)
      : pool_(pool),
        executor_(std::move(executor)),
        on_accept_(std::make_shared<FrameTransport::AcceptCallback>(std::move(on_accept))),
        strand_(asio::make_strand(pool.io_context())),
        acceptor_(strand_) {}

  absl::Status Open(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) CloseOnExec(acceptor_.native_handle());
    // A process that is started again gets its port back while old connections linger.
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kBacklog, error);
    if (error) return Unavailable("cannot listen on {}: {}", Format(endpoint), error.message());
    address_ = Format(acceptor_.local_endpoint(error));
    asio::post(strand_, [self = shared_from_this()] { self->Accept(); });
    return absl::OkStatus();
  }

  void Stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    // Refuses at once, whatever the strand is doing; the descriptor is closed there.
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    asio::post(strand_, [self = shared_from_this()] {
      error_code ignored;
      self->acceptor_.close(ignored);
    });
  }

  const std::string& address() const { return address_; }

 private:
  void Accept() {
    if (Stopped()) return;
    acceptor_.async_accept(
        [self = shared_from_this()](const error_code& error, tcp::socket socket) {
          if (self->Stopped()) return;
          if (error) return self->RetryLater(error);
          if (auto connection = TakeOver(self->pool_, std::move(socket), self->executor_)) {
            self->executor_->Post(
                [on_accept = self->on_accept_, connection] { (*on_accept)(connection); });
          }
          self->Accept();
        });
  }

  // Out of descriptors, mostly: connections wait in the backlog until some are closed.
  void RetryLater(const error_code& error) {
    // Once a minute: it is tried ten times a second.
    const TimePoint now = executor_->Now();
    if (now - warned_at_ >= std::chrono::minutes(1)) {
      warned_at_ = now;
      log::Warning("cannot accept connections address={} error=\"{}\"", address_, error.message());
    }
    executor_->PostAfter(kAcceptRetry, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (self) asio::post(self->strand_, [self] { self->Accept(); });
    });
  }

  bool Stopped() {
    std::lock_guard lock(mutex_);
    return stopped_;
  }

  ThreadPool& pool_;
  const ExecutorPtr executor_;
  const std::shared_ptr<FrameTransport::AcceptCallback> on_accept_;
  asio::strand<asio::io_context::executor_type> strand_;
  tcp::acceptor acceptor_;
  std::string address_;    // constant after Open
  TimePoint warned_at_{};  // on strand_
  std::mutex mutex_;
  bool stopped_ = false;  // guarded by mutex_
};

class AsioFrameListener final : public FrameListener {
 public:
  explicit AsioFrameListener(std::shared_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
  ~AsioFrameListener() override { acceptor_->Stop(); }
  std::string address() const override { return acceptor_->address(); }

 private:
  const std::shared_ptr<Acceptor> acceptor_;
};

class AsioFrameTransport final : public FrameTransport {
 public:
  explicit AsioFrameTransport(ThreadPool& pool) : pool_(pool) {}

  void Connect(const std::string& address, Duration timeout, ExecutorPtr executor,
               ConnectCallback callback) override {
    std::make_shared<Connector>(pool_, address, std::move(executor), std::move(callback))
        ->Run(timeout);
  }

  absl::StatusOr<std::unique_ptr<FrameListener>> Listen(const std::string& address,
                                                        ExecutorPtr executor,
                                                        AcceptCallback on_accept) override {
    const auto endpoint = ResolveLocal(address);
    if (!endpoint.ok()) return endpoint.status();
    auto acceptor = std::make_shared<Acceptor>(pool_, std::move(executor), std::move(on_accept));
    if (auto status = acceptor->Open(*endpoint); !status.ok()) return status;
    return std::make_unique<AsioFrameListener>(std::move(acceptor));
  }

 private:
  // Blocks on a name; a daemon listens once, when it starts.
  absl::StatusOr<tcp::endpoint> ResolveLocal(const std::string& address) {
    const auto parsed = ParseAddress(address);
    if (!parsed.ok()) return parsed.status();
    if (const auto numeric = NumericEndpoint(*parsed)) return *numeric;
    error_code error;
    const auto results =
        tcp::resolver(pool_.io_context()).resolve(parsed->host, parsed->port, error);
    if (error || results.empty()) {
      return InvalidArgument("{} cannot be resolved: {}", address, error.message());
    }
    return results.begin()->endpoint();
  }

  ThreadPool& pool_;
};

}  // namespace

FrameTransportPtr NewAsioFrameTransport(ThreadPool& pool) {
  return std::make_shared<AsioFrameTransport>(pool);
}

}  // namespace baton
