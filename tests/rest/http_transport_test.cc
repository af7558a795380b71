// The client below the forwarder, against the real server and against servers that misbehave.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "rest/beast_server.h"
#include "rest/beast_transport.h"
#include "rest/responses.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CountingHandler final : public RequestHandler {
 public:
  void Handle(HttpRequest request, HttpReply reply) override {
    ++requests;
    HttpResponse response = TextResponse(200, request.method + " " + request.body);
    response.SetHeader("X-Seen", request.Header("X-Sent"));
    reply(std::move(response));
  }
  std::atomic<int> requests{0};
};

// Accepts one connection after the other; reads one request and answers with the next of `answers`.
class ScriptedServer {
 public:
  enum class Afterwards { kClose, kKeepOpen };

  explicit ScriptedServer(std::vector<std::string> answers,
                          Afterwards afterwards = Afterwards::kClose)
      : answers_(std::move(answers)), afterwards_(afterwards) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    address_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread_ = std::thread([this] { Run(); });
  }
  ~ScriptedServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (const int fd : open_) close(fd);
    close(listener_);
  }
  const std::string& address() const { return address_; }
  int requests() const { return requests_; }

 private:
  void Run() {
    for (const std::string& answer : answers_) {
      const int fd = accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      char buffer[4096];
      if (recv(fd, buffer, sizeof(buffer), 0) > 0) ++requests_;
      if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) ADD_FAILURE() << "send";
      if (afterwards_ == Afterwards::kClose) {
        close(fd);
      } else {
        open_.push_back(fd);
      }
    }
  }

  const std::vector<std::string> answers_;
  const Afterwards afterwards_;
  std::vector<int> open_;  // the thread's, then the destructor's
  int listener_ = -1;
  std::string address_;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

constexpr char kKeepAliveAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class HttpTransportTest : public testing::Test {
 protected:
  absl::StatusOr<HttpResponse> Send(const std::string& address, std::string method,
                                    Duration timeout = seconds(30)) {
    HttpRequest request{std::move(method), "/x", {{"X-Sent", "yes"}}, "body"};
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<absl::StatusOr<HttpResponse>> result;
    transport_->Send(address, std::move(request), timeout, executor_,
                     [&](absl::StatusOr<HttpResponse> answer) {
                       std::lock_guard lock(mutex);
                       result = std::move(answer);
                       changed.notify_all();
                     });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, seconds(30), [&] { return result.has_value(); }));
    return *result;
  }

  CountingHandler handler_;
  ThreadPool pool_{2};
  ExecutorPtr executor_ = pool_.NewExecutor();
  HttpTransportPtr transport_ = NewBeastHttpTransport(pool_, {});
};

TEST_F(HttpTransportTest, SendsAndReceivesOverAKeptConnection) {
  HttpServerLimits limits;
  limits.max_connections = 1;  // a second connection would be refused with 503
  auto server = StartHttpServer(pool_, "127.0.0.1:0", limits, handler_);
  ASSERT_TRUE(server.ok());
  for (int i = 0; i < 5; ++i) {
    auto answer = Send((*server)->address(), "PUT");
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "PUT body");
    EXPECT_EQ(answer->Header("x-seen"), "yes");
    EXPECT_EQ(answer->Header("Content-Length"), "");
  }
}

TEST_F(HttpTransportTest, AConnectionThatDiedInThePoolIsReplaced) {
  ScriptedServer server({kKeepAliveAnswer, kKeepAliveAnswer});
  ASSERT_TRUE(Send(server.address(), "PUT").ok());
  // The server has closed the connection that the pool keeps.
  auto second = Send(server.address(), "PUT");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->body, "ok");
}

TEST_F(HttpTransportTest, NobodyListensIsUnavailable) {
  std::string address;
  { address = ScriptedServer({}).address(); }
  EXPECT_EQ(Send(address, "PUT").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Send("no-port", "PUT").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HttpTransportTest, AnAnswerThatBreaksOffIsOfUnknownOutcomeAndNotRepeated) {
  ScriptedServer server({"", kKeepAliveAnswer});
  EXPECT_EQ(Send(server.address(), "PUT").status().code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(server.requests(), 1);
}

TEST_F(HttpTransportTest, HalfAnAnswerIsOfUnknownOutcome) {
  ScriptedServer server({"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok"});
  EXPECT_EQ(Send(server.address(), "PUT").status().code(), absl::StatusCode::kUnknown);
}

TEST_F(HttpTransportTest, ASilentServerIsLate) {
  ScriptedServer server({});
  EXPECT_EQ(Send(server.address(), "PUT", milliseconds(1000)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HttpTransportTest, APostIsNotSentOverAPooledConnection) {
  ScriptedServer server({kKeepAliveAnswer, kKeepAliveAnswer},
                        ScriptedServer::Afterwards::kKeepOpen);
  ASSERT_TRUE(Send(server.address(), "PUT").ok());
  // Nobody reads from the pooled connection any more.
  EXPECT_TRUE(Send(server.address(), "POST", seconds(5)).ok());
}

TEST_F(HttpTransportTest, MoreExchangesThanConnectionsWaitForTheirTurn) {
  HttpTransportLimits limits;
  limits.max_connections_per_address = 1;
  transport_ = NewBeastHttpTransport(pool_, limits);
  HttpServerLimits server_limits;
  server_limits.max_connections = 1;
  auto server = StartHttpServer(pool_, "127.0.0.1:0", server_limits, handler_);
  ASSERT_TRUE(server.ok());
  std::mutex mutex;
  std::condition_variable changed;
  int answered = 0;
  for (int i = 0; i < 20; ++i) {
    transport_->Send((*server)->address(), HttpRequest{"GET", "/", {}, ""}, seconds(30), executor_,
                     [&](absl::StatusOr<HttpResponse> answer) {
                       std::lock_guard lock(mutex);
                       if (answer.ok() && answer->status == 200) ++answered;
                       changed.notify_all();
                     });
  }
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, seconds(30), [&] { return answered == 20; }));
}

}  // namespace
}  // namespace baton
