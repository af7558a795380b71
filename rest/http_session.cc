#include "rest/http_session.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "fmt/core.h"
#include "rest/responses.h"

namespace baton {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr Duration kLinger = std::chrono::seconds(5);
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kLingerBytes = 8 << 10;
constexpr size_t kSmallAnswer = 16 << 10;
constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";

std::string ToString(beast::string_view text) { return std::string(text.data(), text.size()); }

// A header that breaks the line would let its value write the rest of the message.
bool IsSafeHeader(const std::pair<std::string, std::string>& header) {
  constexpr std::string_view kBreaks("\r\n\0", 3);
  return !header.first.empty() && header.first.find_first_of(kBreaks) == std::string::npos &&
         header.second.find_first_of(kBreaks) == std::string::npos;
}

class BeastSession final : public HttpSession, public std::enable_shared_from_this<BeastSession> {
 public:
  BeastSession(uint64_t id, asio::ip::tcp::socket socket,
               std::shared_ptr<HttpSessionContext> context)
      : id_(id),
        context_(std::move(context)),
        socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        buffer_(context_->limits.max_header_bytes + kReadBytes) {}

  ~BeastSession() override { context_->on_end(id_); }

  void Serve() override {
    OnStrand([](BeastSession& self) { self.ReadNext(); });
  }
  void Refuse() override {
    OnStrand([](BeastSession& self) {
      self.Fail(503, "Too many connections; try again or ask another replica.");
    });
  }
  void Drain() override {
    OnStrand([](BeastSession& self) {
      if (self.phase_ == Phase::kIdle) self.Close();
    });
  }
  void Abort() override {
    OnStrand([](BeastSession& self) { self.Close(); });
  }

 private:
  enum class Phase { kIdle, kReading, kHandling, kWriting, kLingering };
  enum class Cut { kNot, kTimedOut, kEvicted };  // why no more of the request is read

  template <class F>
  void OnStrand(F f) {
    asio::dispatch(socket_.get_executor(), [self = shared_from_this(), f] { f(*self); });
  }

  void ReadNext() {
    if (context_->draining || !socket_.is_open()) return Close();
    phase_ = Phase::kIdle;
    parser_.reset();
    if (buffer_.size() > 0) return ReadHeader();  // pipelined
    // Thousands of idle connections hold neither a buffer nor a parser.
    buffer_.shrink_to_fit();
    Arm(context_->limits.idle_timeout);
    socket_.async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this()](ErrorCode ec) {
      if (ec) return self->Close();
      self->ReadHeader();
    });
  }

  void ReadHeader() {
    phase_ = Phase::kReading;
    parser_.emplace();
    parser_->header_limit(context_->limits.max_header_bytes);
    parser_->body_limit(context_->limits.max_body_bytes);
    Arm(context_->limits.header_timeout);
    http::async_read_header(
        socket_, buffer_, *parser_,
        [self = shared_from_this()](ErrorCode ec, size_t) { self->OnHeader(ec); });
  }

  void OnHeader(ErrorCode ec) {
    if (ec) return OnReadError(ec);
    keep_alive_ = parser_->get().keep_alive();
    version_ = parser_->get().version();
    is_head_ = parser_->get().method() == http::verb::head;
    const beast::string_view expect = parser_->get()[http::field::expect];
    if (!expect.empty() && !beast::iequals(expect, "100-continue")) {
      return Fail(417, "Expect: " + ToString(expect) + " is not supported");
    }
    if (parser_->is_done()) return OnBody({});
    share_.emplace(context_->reading, EvictLater());
    Arm(context_->limits.body_timeout);
    if (expect.empty() || version_ < 11) return ReadBody();
    asio::async_write(socket_, asio::buffer(kContinue, sizeof(kContinue) - 1),
                      [self = shared_from_this()](ErrorCode write_error, size_t) {
                        if (write_error) return self->Close();
                        self->ReadBody();
                      });
  }

  // Piece by piece: what counts is what came, not what a Content-Length claims.
  void ReadBody() {
    http::async_read_some(socket_, buffer_, *parser_,
                          [self = shared_from_this()](ErrorCode ec, size_t bytes) {
                            if (ec || self->parser_->is_done()) return self->OnBody(ec);
                            self->share_->Add(bytes);
                            self->ReadBody();
                          });
  }

  // This connection has held memory for the longest time of all, and there is no more.
  ByteBudget::Evict EvictLater() {
    return [weak = weak_from_this(), request = requests_] {
      auto self = weak.lock();
      if (!self) return;
      asio::post(self->socket_.get_executor(), [self, request] {
        if (self->requests_ == request) self->OnEvicted();
      });
    };
  }

  void OnEvicted() {
    if (phase_ == Phase::kWriting) return Close();
    if (phase_ == Phase::kReading) EndReading(Cut::kEvicted);
  }

  void OnBody(ErrorCode ec) {
    if (ec) return OnReadError(ec);
    Disarm();
    share_.reset();
    ++requests_;
    phase_ = Phase::kHandling;
    auto message = parser_->release();
    HttpRequest request;
    request.method = ToString(message.method_string());
    request.target = ToString(message.target());
    for (const auto& field : message) {
      request.headers.emplace_back(ToString(field.name_string()), ToString(field.value()));
    }
    request.body = std::move(message.body());
    context_->handler->Handle(std::move(request), NewReply());
  }

  // Lets go of the session when it is called: a handler may keep it longer.
  HttpReply NewReply() {
    return [session = shared_from_this()](HttpResponse answer) mutable {
      auto self = std::exchange(session, nullptr);
      asio::dispatch(self->socket_.get_executor(), [self, answer = std::move(answer)]() mutable {
        self->Write(std::move(answer));
      });
    };
  }

  void OnReadError(ErrorCode ec) {
    const HttpServerLimits& limits = context_->limits;
    if (cut_ == Cut::kTimedOut) return Fail(408, "The request did not arrive in time.");
    if (cut_ == Cut::kEvicted) {
      return Fail(503, "Too many requests arrive slowly, this one the longest; try again.");
    }
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
      return Fail(431, fmt::format("The header is larger than {} bytes.", limits.max_header_bytes));
    }
    if (ec == http::error::body_limit) {
      return Fail(413, fmt::format("The body is larger than {} bytes.", limits.max_body_bytes));
    }
    const bool broken = ec == http::error::end_of_stream || ec == http::error::partial_message;
    if (broken || ec.category() != make_error_code(http::error::end_of_stream).category()) {
      return Close();
    }
    Fail(400, "Bad request: not HTTP/1.1 as RFC 7230 has it: " + ec.message());
  }

  void Fail(int status, std::string sentence) {
    keep_alive_ = false;
    Write(ErrorResponse(status, std::move(sentence)));
  }

  void Write(HttpResponse answer) {
    if (!socket_.is_open()) return;
    share_.reset();
    ++requests_;
    phase_ = Phase::kWriting;
    // What is smaller, the kernel's buffers take.
    if (answer.body.size() > kSmallAnswer) {
      share_.emplace(context_->writing, EvictLater());
      share_->Add(answer.body.size());
    }
    response_.emplace();
    response_->version(version_);
    response_->result(static_cast<unsigned>(answer.status));
    for (const auto& header : answer.headers) {
      if (IsSafeHeader(header)) response_->insert(header.first, header.second);
    }
    response_->set(http::field::server, "Baton");
    response_->keep_alive(keep_alive_ && !context_->draining);
    response_->body() = std::move(answer.body);
    response_->prepare_payload();
    serializer_.emplace(*response_);
    Arm(context_->limits.write_timeout);
    auto written = [self = shared_from_this()](ErrorCode ec, size_t) { self->OnWritten(ec); };
    if (is_head_) return http::async_write_header(socket_, *serializer_, written);
    http::async_write(socket_, *serializer_, written);
  }

  void OnWritten(ErrorCode ec) {
    const bool goes_on = !ec && response_->keep_alive();
    serializer_.reset();
    response_.reset();
    share_.reset();
    if (ec) return Close();
    if (goes_on) return ReadNext();
    phase_ = Phase::kLingering;
    ErrorCode ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    Arm(kLinger);
    Linger();
  }

  // Closing while the client still sends would reset the connection and lose it the answer.
  void Linger() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(kLingerBytes),
                            [self = shared_from_this()](ErrorCode ec, size_t) {
                              if (ec) return self->Close();
                              self->Linger();
                            });
  }

  void Arm(Duration delay) {
    const uint64_t armed = ++armed_;
    timer_.expires_after(delay);
    timer_.async_wait([weak = weak_from_this(), armed](ErrorCode) {
      auto self = weak.lock();
      if (self && self->armed_ == armed) self->OnTimeout();
    });
  }

  void Disarm() {
    ++armed_;
    timer_.cancel();
  }

  void OnTimeout() {
    if (phase_ != Phase::kReading) return Close();
    EndReading(Cut::kTimedOut);
  }

  // Ends the read that is pending, and any that is about to begin, but leaves the way to answer.
  void EndReading(Cut why) {
    cut_ = why;
    ErrorCode ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_receive, ignored);
  }

  void Close() {
    Disarm();
    ErrorCode ignored;
    socket_.close(ignored);
  }

  const uint64_t id_;
  const std::shared_ptr<HttpSessionContext> context_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  uint64_t armed_ = 0;  // a timer that fires for an older one is late
  beast::flat_buffer buffer_;
  Phase phase_ = Phase::kIdle;
  Cut cut_ = Cut::kNot;
  uint64_t requests_ = 0;  // grows with each step of each: a late eviction is known by it
  std::optional<ByteBudget::Share> share_;  // of the body that arrives, or of the answer
  std::optional<http::request_parser<http::string_body>> parser_;
  // Of the request that is being served:
  unsigned version_ = 11;
  bool keep_alive_ = true;
  bool is_head_ = false;
  std::optional<http::response<http::string_body>> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

}  // namespace

std::shared_ptr<HttpSession> HttpSession::New(uint64_t id, asio::ip::tcp::socket socket,
                                              std::shared_ptr<HttpSessionContext> context) {
  return std::make_shared<BeastSession>(id, std::move(socket), std::move(context));
}

}  // namespace baton
