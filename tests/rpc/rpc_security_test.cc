// What strangers get from an RPC port: a sentence, a bounded time, a bounded piece of memory.

#include <gtest/gtest.h>

#include <atomic>

#include "base/log.h"
#include "base/manual_executor.h"
#include "rpc/rpc_server.h"
#include "tests/rpc/fake_frame_transport.h"
#include "tests/rpc/loopback.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

pb::Hello HelloOf(const std::string& id) {
  pb::Hello hello;
  hello.set_cluster_id("test");
  hello.set_id(id);
  return hello;
}

LinkIdentity Identity(const std::string& id, const std::string& secret = "the cluster's secret") {
  return LinkIdentity(HelloOf(id),
                      std::make_shared<ClusterSecrets>(std::vector<std::string>{secret}),
                      NewSystemRandom());
}

pb::Envelope GetRequest() {
  pb::Envelope envelope;
  envelope.mutable_get_blob()->set_digest("abc");
  return envelope;
}

// Counts the lines that contain a text, while it lives.
class LogLines {
 public:
  explicit LogLines(std::string text) {
    log::SetSink([this, text = std::move(text)](log::Level, const std::string& line) {
      if (line.find(text) != std::string::npos) ++count_;
    });
  }
  ~LogLines() { log::SetSink(nullptr); }
  int count() const { return count_; }

 private:
  std::atomic<int> count_ = 0;
};

// --- over real sockets

class RpcSecurityTest : public testing::Test {
 protected:
  RpcSecurityTest() {
    server_->Handle(pb::Envelope::kGetBlob, [](const RpcLinkPtr& link, pb::Envelope message) {
      pb::Envelope reply;
      reply.mutable_get_blob_reply()->set_content(std::string(1 << 20, 'x'));
      link->Reply(message, std::move(reply));
    });
    server_->Observe({nullptr, [this](const RpcLinkPtr&, absl::Status why) { closed_.Set(why); }});
    RunOn(*executor_, [this] { EXPECT_TRUE(server_->Start("127.0.0.1:0").ok()); });
  }
  ~RpcSecurityTest() override {
    RunOn(*executor_, [this] { server_->Stop(); });
    pool_.Stop();
  }

  absl::StatusOr<RpcLinkPtr> Connect(LinkIdentity self) {
    auto result = std::make_shared<Eventually<absl::StatusOr<RpcLinkPtr>>>();
    RpcLink::Connect(*transport_, server_->address(), std::move(self), client_executor_, kLong,
                     [result](auto link) { result->Set(std::move(link)); });
    return result->Get();
  }

  absl::StatusCode Ask(const RpcLinkPtr& link) {
    auto result = std::make_shared<Eventually<absl::StatusCode>>();
    link->Call(GetRequest(), kLong, [result](auto reply) { result->Set(reply.status().code()); });
    return result->Get();
  }

  ThreadPool pool_{2};
  FrameTransportPtr transport_ = NewAsioFrameTransport(pool_);
  ExecutorPtr executor_ = pool_.NewExecutor();
  ExecutorPtr client_executor_ = pool_.NewExecutor();
  std::shared_ptr<RpcServer> server_ =
      std::make_shared<RpcServer>(transport_, executor_, Identity("server"));
  Eventually<absl::Status> closed_;
};

TEST_F(RpcSecurityTest, TheSecretOpensALinkThatCarriesLargeFrames) {
  auto link = Connect(Identity("client"));
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_EQ((*link)->version(), kProtocolVersion);
  pb::Envelope large;
  large.mutable_get_blob()->set_digest(std::string(8 << 20, 'x'));
  Eventually<bool> came;
  (*link)->Call(std::move(large), kLong, [&](auto reply) { came.Set(reply.ok()); });
  EXPECT_TRUE(came.Get());
}

TEST_F(RpcSecurityTest, AnotherSecretIsToldSoAndTheServerGoesOn) {
  const auto refused = Connect(Identity("client", "the secret of another cluster")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_NE(Message(refused).find("different cluster secrets"), std::string::npos) << refused;
  EXPECT_EQ(Connect(HelloOf("client")).status().code(), absl::StatusCode::kFailedPrecondition);
  auto link = Connect(Identity("client"));
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_EQ(Ask(*link), absl::StatusCode::kOk);
}

TEST_F(RpcSecurityTest, AStrangersLargeFrameIsNotRead) {
  RawSocket raw(server_->address());
  raw.Write(std::string("\x00\x20\x00\x00", 4) + std::string(64 << 10, 'x'));
  EXPECT_LT(raw.ReadAll().size(), 1000u);  // the server's Hello, then the end
}

TEST_F(RpcSecurityTest, APeerThatNeverReadsIsDroppedAndItsCallsEnd) {
  // A worker that was frozen in the middle of its work: it shook hands, and reads no more.
  auto link = Connect(Identity("client"));
  ASSERT_TRUE(link.ok()) << link.status();
  client_executor_->Post([link = *link] {
    // This strand is where the client reads: as long as it is busy here, it does not.
    for (int i = 0; i < 200; ++i) link->Call(GetRequest(), kLong, [](auto) {});
  });
  Eventually<bool> may_go_on;
  client_executor_->Post([&] { may_go_on.Wait(); });
  // 200 answers of 1 MiB: more than the queue and both sockets' buffers hold.
  EXPECT_EQ(closed_.Get().code(), absl::StatusCode::kResourceExhausted) << closed_.Get();
  may_go_on.Set(true);
  RunOn(*client_executor_, [] {});
}

// --- in virtual time

class StrangersTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ =
        std::make_shared<RpcServer>(network_->NewProcess("server"), executor_, Identity("server"));
    ASSERT_TRUE(server_->Start("server:1").ok());
  }

  // Connects and says nothing; whether it was closed is told in `closed`.
  FrameConnectionPtr Knock(bool* closed) {
    FrameConnectionPtr made;
    strangers_->Connect("server:1", seconds(1), client_executor_, [&](auto connection) {
      made = *std::move(connection);
      made->Start({[](std::string) {}, [closed](absl::Status) { *closed = true; }});
    });
    scheduler_.RunUntil([&] { return made != nullptr; }, seconds(1));
    return made;
  }

  absl::Status Connect(LinkIdentity self) {
    absl::Status result = Unknown("nothing came");
    RpcLink::Connect(*strangers_, "server:1", std::move(self), client_executor_, seconds(2),
                     [&](auto link) {
                       result = link.status();
                       if (link.ok()) links_.push_back(*link);
                     });
    scheduler_.AdvanceBy(milliseconds(50));
    return result;
  }

  ManualScheduler scheduler_{1};
  std::shared_ptr<ManualExecutor> executor_ = scheduler_.NewExecutor("server");
  std::shared_ptr<ManualExecutor> client_executor_ = scheduler_.NewExecutor("client");
  SimulatedNetworkPtr network_ = std::make_shared<SimulatedNetwork>(1);
  FrameTransportPtr strangers_ = network_->NewProcess("strangers");
  std::shared_ptr<RpcServer> server_;
  std::vector<RpcLinkPtr> links_;
};

TEST_F(StrangersTest, AConnectionThatNeverSendsHelloIsClosed) {
  bool closed = false;
  auto silent = Knock(&closed);
  scheduler_.AdvanceBy(seconds(4));
  EXPECT_FALSE(closed);
  scheduler_.AdvanceBy(seconds(2));
  EXPECT_TRUE(closed);
}

TEST_F(StrangersTest, OneThatSendsHelloAndNoProofIsClosed) {
  bool closed = false;
  auto silent = Knock(&closed);
  silent->Send(Handshake(Identity("half"), LinkSide::kConnector, "server").first_frame());
  scheduler_.AdvanceBy(seconds(6));
  EXPECT_TRUE(closed);
}

TEST_F(StrangersTest, AFloodOfSilentOnesShutsNobodyOut) {
  LogLines lines("shake hands; the oldest is closed");
  std::vector<FrameConnectionPtr> silent;
  std::vector<std::unique_ptr<bool>> closed;
  for (size_t i = 0; i < RpcServer::kMaxOpening + 50; ++i) {
    closed.push_back(std::make_unique<bool>(false));
    silent.push_back(Knock(closed.back().get()));
  }
  scheduler_.AdvanceBy(milliseconds(10));
  EXPECT_TRUE(*closed.front());
  EXPECT_FALSE(*closed.back());
  EXPECT_TRUE(Connect(Identity("friend")).ok());
  EXPECT_EQ(lines.count(), 1);
}

TEST_F(StrangersTest, AWrongSecretIsLoggedOnceAMinuteForEachPeer) {
  LogLines lines("different cluster secrets");
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(Connect(Identity("liar", "the secret of another cluster")).ok());
  }
  EXPECT_EQ(lines.count(), 1);
  scheduler_.AdvanceBy(seconds(60));
  EXPECT_FALSE(Connect(Identity("liar", "the secret of another cluster")).ok());
  EXPECT_EQ(lines.count(), 2);
}

TEST_F(StrangersTest, ManyPeersShareALine) {
  LogLines lines("link refused");
  RefusalLog refusals(executor_);
  for (size_t i = 0; i < RefusalLog::kMaxPeers + 500; ++i) {
    refusals.Warn(fmt::format("peer-{}", i), Unknown("why"));
  }
  EXPECT_EQ(lines.count(), static_cast<int>(RefusalLog::kMaxPeers) + 1);
}

}  // namespace
}  // namespace baton
