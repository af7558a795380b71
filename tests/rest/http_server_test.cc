// The server on real loopback sockets: what it takes, what it refuses, how it ends.

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "rest/beast_server.h"
#include "rest/responses.h"
#include "tests/rest/raw_client.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kGet[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

// A literal with its NUL bytes.
template <size_t N>
std::string Bytes(const char (&text)[N]) {
  return std::string(text, N - 1);
}

// Says what it was asked; keeps "/slow" until told.
class EchoHandler final : public RequestHandler {
 public:
  void Handle(HttpRequest request, HttpReply reply) override {
    if (request.target == "/slow") {
      std::lock_guard lock(mutex_);
      slow_.push_back(std::move(reply));
      changed_.notify_all();
      return;
    }
    if (request.target == "/large") return reply(TextResponse(200, std::string(30 << 20, 'x')));
    reply(TextResponse(200, request.method + " " + request.target + " [" + request.body + "]"));
  }

  HttpReply TakeSlow() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, seconds(30), [this] { return !slow_.empty(); }));
    HttpReply reply = std::move(slow_.back());
    slow_.pop_back();
    return reply;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpReply> slow_;
};

class HttpServerTest : public testing::Test {
 protected:
  void Start(HttpServerLimits limits = {}) {
    auto server = StartHttpServer(pool_, "127.0.0.1:0", limits, handler_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  RawClient Connect() { return RawClient(server_->address()); }

  // What the server answers to `bytes` until it closes.
  std::string Exchange(const std::string& bytes) {
    RawClient client = Connect();
    client.Send(bytes);
    return client.ReadToEnd();
  }

  void Stop(Duration drain) {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    server_->Stop(drain, [&] {
      std::lock_guard lock(mutex);
      done = true;
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, seconds(30), [&] { return done; }));
  }

  EchoHandler handler_;
  ThreadPool pool_{2};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, KeepsTheConnectionForTheNextRequest) {
  Start();
  RawClient client = Connect();
  client.Send(kGet);
  EXPECT_NE(client.ReadUntil("GET /x []").find("HTTP/1.1 200"), std::string::npos);
  client.Send("POST /y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
  client.Send("bc");
  client.ReadUntil("POST /y [abc]");
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  const std::string all = Exchange(
      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_LT(all.find("GET /1"), all.find("GET /2"));
  EXPECT_LT(all.find("GET /2"), all.find("GET /3"));
  EXPECT_NE(all.find("GET /3"), std::string::npos);
}

TEST_F(HttpServerTest, AnswersAHeadWithoutABody) {
  Start();
  const std::string answer = Exchange("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 10\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  Start();
  const std::string answer = Exchange(
      "POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_NE(answer.find("[abcde]"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, SaysContinueToThoseWhoAsk) {
  Start();
  RawClient client = Connect();
  client.Send("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  client.ReadUntil("HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("abc");
  client.ReadUntil("[abc]");
}

TEST_F(HttpServerTest, RefusesALargeBodyByItsLengthAlone) {
  Start();
  const std::string answer = Exchange(
      "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 104857600\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_NE(answer.find("HTTP/1.1 413"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("100 Continue"), std::string::npos);
  EXPECT_NE(answer.find(R"({"errors":["The body is larger than)"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, AClientThatSendsALargeBodyAnywayCanReadTheAnswer) {
  Start();
  RawClient client = Connect();
  client.Send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 20971520\r\n\r\n");
  client.Send(std::string(20 << 20, 'x'));
  EXPECT_NE(client.ReadToEnd().find("HTTP/1.1 413"), std::string::npos);
}

TEST_F(HttpServerTest, RefusesALargeChunkedBody) {
  HttpServerLimits limits;
  limits.max_body_bytes = 4;
  Start(limits);
  const std::string answer = Exchange(
      "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nabcde\r\n0\r\n\r\n");
  EXPECT_NE(answer.find("HTTP/1.1 413"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, RefusesALargeHeader) {
  Start();
  const std::string answer =
      Exchange("GET /x HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_NE(answer.find("HTTP/1.1 431"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, BodiesBeyondTheSumOfAllEndTheSlowest) {
  HttpServerLimits limits;
  limits.max_reading_bytes = 10'000;
  Start(limits);
  constexpr char kLongPost[] = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n";
  RawClient slow = Connect();
  slow.Send(kLongPost + std::string(9'000, 'x'));
  // Nothing tells when the server has begun to read it: others come until it has to go.
  std::atomic<bool> answered = false;
  std::vector<RawClient> others;
  std::thread pushes([&] {
    while (!answered && others.size() < 200) {
      others.push_back(Connect());
      others.back().Send(kLongPost + std::string(9'000, 'x'));
    }
  });
  const std::string answer = slow.ReadToEnd();
  answered = true;
  pushes.join();
  EXPECT_NE(answer.find("HTTP/1.1 503"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Retry-After: 1"), std::string::npos) << answer;
  // Whoever is quick is served, more than all may hold together or not.
  RawClient quick = Connect();
  quick.Send(kLongPost + std::string(20'000, 'y'));
  quick.ReadUntil("POST /x [yyy");
}

TEST_F(HttpServerTest, AClaimedLengthCostsNothing) {
  HttpServerLimits limits;
  limits.max_reading_bytes = 1'000;
  Start(limits);
  std::vector<RawClient> claimants;
  for (int i = 0; i < 20; ++i) {
    claimants.push_back(Connect());
    claimants.back().Send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\nx");
  }
  RawClient other = Connect();
  other.Send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  other.ReadUntil("[abc]");
  // They are waited for all the same.
  claimants.front().Send("y");
  Stop(milliseconds(1));
  EXPECT_EQ(claimants.front().ReadToEnd(), "");
}

TEST_F(HttpServerTest, AReaderThatNeverReadsIsCutOffWhenOthersNeedTheMemory) {
  HttpServerLimits limits;
  limits.max_writing_bytes = 40 << 20;
  Start(limits);
  RawClient stuck = Connect();
  stuck.Send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  stuck.ReadUntil("HTTP/1.1 200");
  std::vector<RawClient> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(Connect());
    others.back().Send("GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_GT(others.back().ReadToEnd().size(), size_t{30} << 20);
  }
  EXPECT_LT(stuck.ReadToEnd().size(), size_t{30} << 20);
}

TEST_F(HttpServerTest, AnswersWhatIsNotHttpWith400) {
  Start();
  for (const std::string& bytes :
       {Bytes("hello\r\n\r\n"), Bytes("GET /\0 HTTP/1.1\r\n\r\n"),
        Bytes("GET / HTTP/1.1\r\nA: \0\r\n\r\n"), Bytes("\0\0\0\0\r\n\r\n"),
        Bytes("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), Bytes("GET / HTTP/9.9\r\n\r\n"),
        Bytes("\x16\x03\x01\x02\x00\x01\r\n")}) {
    const std::string answer = Exchange(bytes);
    EXPECT_NE(answer.find("HTTP/1.1 400"), std::string::npos) << bytes << " -> " << answer;
    EXPECT_NE(answer.find(R"({"errors":["Bad request)"), std::string::npos) << answer;
  }
}

TEST_F(HttpServerTest, NulBytesInABodyArrive) {
  Start();
  const std::string answer =
      Exchange(Bytes("POST /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\na\0b"));
  EXPECT_NE(answer.find(Bytes("[a\0b]")), std::string::npos);
}

TEST_F(HttpServerTest, AHeaderThatNeverEndsIsAnswered408) {
  HttpServerLimits limits;
  limits.header_timeout = milliseconds(50);
  Start(limits);
  const std::string answer = Exchange("GET /x HTT");
  EXPECT_NE(answer.find("HTTP/1.1 408"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, ABodyThatNeverEndsIsAnswered408) {
  HttpServerLimits limits;
  limits.body_timeout = milliseconds(50);
  Start(limits);
  const std::string answer = Exchange("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
  EXPECT_NE(answer.find("HTTP/1.1 408"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosed) {
  HttpServerLimits limits;
  limits.idle_timeout = milliseconds(1000);  // from the connection on: for the first request, too
  Start(limits);
  RawClient client = Connect();
  client.Send(kGet);
  client.ReadUntil("[]");
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST_F(HttpServerTest, TellsConnectionsBeyondTheLimit) {
  HttpServerLimits limits;
  limits.max_connections = 1;
  Start(limits);
  RawClient first = Connect();
  first.Send(kGet);
  first.ReadUntil("[]");
  const std::string answer = Exchange("");
  EXPECT_NE(answer.find("HTTP/1.1 503"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Retry-After: 1"), std::string::npos) << answer;
  first.Send(kGet);
  first.ReadUntil("[]");
}

TEST_F(HttpServerTest, StopLetsARunningRequestFinish) {
  Start();
  RawClient running = Connect();
  running.Send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  HttpReply reply = handler_.TakeSlow();
  RawClient idle = Connect();
  idle.Send(kGet);
  idle.ReadUntil("[]");
  std::thread stopper([this] { Stop(seconds(30)); });
  EXPECT_EQ(idle.ReadToEnd(), "");
  reply(TextResponse(200, "late but whole"));
  const std::string answer = running.ReadToEnd();
  EXPECT_NE(answer.find("late but whole"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  running.Close();
  stopper.join();
}

TEST_F(HttpServerTest, StopEndsAConnectionThatDoesNotFinish) {
  Start();
  RawClient stuck = Connect();
  stuck.Send("GET /x HT");
  RawClient other = Connect();
  other.Send(kGet);
  other.ReadUntil("[]");
  Stop(milliseconds(1));
}

TEST_F(HttpServerTest, AnAddressInUseIsAnError) {
  Start();
  EXPECT_EQ(StartHttpServer(pool_, server_->address(), {}, handler_).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(StartHttpServer(pool_, "nonsense", {}, handler_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace baton
