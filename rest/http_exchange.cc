#include "rest/http_exchange.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "base/status.h"
#include "rest/http_address.h"

namespace baton {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr uint32_t kMaxHeaderBytes = 64 << 10;

std::string ToString(beast::string_view text) { return std::string(text.data(), text.size()); }

// Of this hop, not of the message.
bool IsFraming(http::field name) {
  return name == http::field::connection || name == http::field::keep_alive ||
         name == http::field::content_length || name == http::field::transfer_encoding;
}

// Lives on the strand of its socket; keeps itself alive by its pending operations.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(asio::io_context& io, std::shared_ptr<ConnectionPool> pool,
           const HttpTransportLimits& limits, std::string address)
      : strand_(asio::make_strand(io)),
        pool_(std::move(pool)),
        limits_(limits),
        address_(std::move(address)),
        timer_(strand_),
        resolver_(strand_) {}

  void Start(HttpRequest request, Duration timeout, HttpTransport::Callback callback) {
    callback_ = std::move(callback);
    may_reuse_ = request.method != "POST";
    deadline_ = std::chrono::steady_clock::now() + timeout;
    BuildMessage(std::move(request));
    asio::dispatch(strand_, [self = shared_from_this()] {
      self->Arm(self->deadline_);
      self->pool_->Acquire(self->address_, [self](SocketPtr idle) {
        // std::function must be copyable.
        auto held = std::make_shared<SocketPtr>(std::move(idle));
        asio::post(self->strand_, [self, held] { self->OnGranted(std::move(*held)); });
      });
    });
  }

 private:
  void BuildMessage(HttpRequest request) {
    message_.version(11);
    message_.method_string(request.method);
    message_.target(request.target);
    for (const auto& [name, value] : request.headers) message_.insert(name, value);
    message_.set(http::field::host, address_);
    message_.keep_alive(true);
    message_.body() = std::move(request.body);
    message_.prepare_payload();
  }

  void OnGranted(SocketPtr idle) {
    granted_ = true;
    if (finished_) return GiveBack(std::move(idle));
    if (idle && may_reuse_) {
      socket_ = std::move(idle);
      reused_ = true;
      return Write();
    }
    Resolve();
  }

  void Resolve() {
    reused_ = false;
    Arm(std::min(deadline_, std::chrono::steady_clock::now() + limits_.connect_timeout));
    absl::StatusOr<HostAndPort> parsed = ParseHostAndPort(address_);
    if (!parsed.ok()) return Finish(parsed.status());
    ErrorCode not_numeric;
    const auto numeric = asio::ip::make_address(parsed->host, not_numeric);
    if (!not_numeric) {
      return Connect({tcp::endpoint(numeric, static_cast<uint16_t>(std::stoi(parsed->port)))});
    }
    resolver_.async_resolve(
        parsed->host, parsed->port,
        [self = shared_from_this()](ErrorCode ec, const tcp::resolver::results_type& found) {
          if (self->finished_) return;
          if (ec) return self->Finish(Unavailable("{}: {}", self->address_, ec.message()));
          std::vector<tcp::endpoint> endpoints;
          for (const auto& entry : found) endpoints.push_back(entry.endpoint());
          self->Connect(std::move(endpoints));
        });
  }

  void Connect(std::vector<tcp::endpoint> endpoints) {
    endpoints_ = std::move(endpoints);
    socket_ = std::make_unique<tcp::socket>(strand_);
    asio::async_connect(
        *socket_, endpoints_, [self = shared_from_this()](ErrorCode ec, const tcp::endpoint&) {
          if (self->finished_) return;
          if (ec) return self->Finish(Unavailable("{}: {}", self->address_, ec.message()));
          ErrorCode ignored;
          self->socket_->set_option(tcp::no_delay(true), ignored);
          self->Arm(self->deadline_);
          self->Write();
        });
  }

  // A pooled socket belongs to the strand of the exchange that made it: handlers are bound to ours.
  void Write() {
    sent_ = true;
    http::async_write(
        *socket_, message_,
        asio::bind_executor(strand_, [self = shared_from_this()](ErrorCode ec, size_t) {
          if (self->finished_) return;
          // A server may answer and close before it has read everything.
          if (ec && self->reused_) return self->OnBroken(ec);
          self->Read();
        }));
  }

  void Read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    parser_->body_limit(limits_.max_body_bytes);
    http::async_read(
        *socket_, buffer_, *parser_,
        asio::bind_executor(strand_, [self = shared_from_this()](ErrorCode ec, size_t) {
          if (self->finished_) return;
          if (ec) return self->OnBroken(ec);
          self->OnAnswer();
        }));
  }

  void OnBroken(ErrorCode ec) {
    const bool nothing_came = !parser_ || !parser_->got_some();
    if (reused_ && nothing_came) {
      sent_ = false;  // by a connection that was dead before
      CloseSocket();
      buffer_.clear();
      parser_.reset();
      return Resolve();
    }
    Finish(Unknown("{}: the connection broke before the whole answer came: {}", address_,
                   ec.message()));
  }

  void OnAnswer() {
    const bool keep = parser_->get().keep_alive() && buffer_.size() == 0;
    auto message = parser_->release();
    HttpResponse response;
    response.status = static_cast<int>(message.result_int());
    for (const auto& field : message) {
      if (IsFraming(field.name())) continue;
      response.headers.emplace_back(ToString(field.name_string()), ToString(field.value()));
    }
    response.body = std::move(message.body());
    if (keep) kept_ = std::move(socket_);
    Finish(std::move(response));
  }

  void Arm(std::chrono::steady_clock::time_point when) {
    timer_.expires_at(when);
    timer_.async_wait([weak = weak_from_this()](ErrorCode cancelled) {
      auto self = weak.lock();
      if (cancelled || !self || self->finished_) return;
      self->OnTimeout();
    });
  }

  void OnTimeout() {
    // Moved on while this was queued.
    if (timer_.expiry() > std::chrono::steady_clock::now()) return;
    if (!sent_) return Finish(Unavailable("{}: no connection in time", address_));
    Finish(DeadlineExceeded("{}: no answer in time", address_));
  }

  void Finish(absl::StatusOr<HttpResponse> result) {
    finished_ = true;
    timer_.cancel();
    resolver_.cancel();
    CloseSocket();
    if (granted_) GiveBack(std::move(kept_));
    std::exchange(callback_, nullptr)(std::move(result));
  }

  // Closed, but not destroyed: operations on it may still be about to report their end.
  void CloseSocket() {
    if (!socket_) return;
    ErrorCode ignored;
    socket_->close(ignored);
  }

  void GiveBack(SocketPtr socket) { pool_->Release(address_, std::move(socket)); }

  const asio::strand<asio::io_context::executor_type> strand_;
  const std::shared_ptr<ConnectionPool> pool_;
  const HttpTransportLimits limits_;
  const std::string address_;
  asio::steady_timer timer_;
  tcp::resolver resolver_;
  std::chrono::steady_clock::time_point deadline_;
  HttpTransport::Callback callback_;
  http::request<http::string_body> message_;
  SocketPtr socket_;
  SocketPtr kept_;  // for the pool
  std::vector<tcp::endpoint> endpoints_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  bool may_reuse_ = false;
  bool granted_ = false;  // holds a right of the pool
  bool reused_ = false;   // the connection has served another exchange
  bool sent_ = false;     // the request may have had its effect
  bool finished_ = false;
};

}  // namespace

void StartHttpExchange(asio::io_context& io, std::shared_ptr<ConnectionPool> pool,
                       const HttpTransportLimits& limits, const std::string& address,
                       HttpRequest request, Duration timeout, HttpTransport::Callback callback) {
  auto exchange = std::make_shared<Exchange>(io, std::move(pool), limits, address);
  exchange->Start(std::move(request), timeout, std::move(callback));
}

}  // namespace baton
