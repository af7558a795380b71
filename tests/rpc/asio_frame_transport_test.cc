#include "rpc/asio_frame_transport.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/rpc/loopback.h"

namespace baton {
namespace {

class AsioFrameTransportTest : public testing::Test {
 protected:
  // Both ends of one connection; on_frame and on_closed of each end as the test wants.
  struct Ends {
    FrameConnectionPtr client;
    FrameConnectionPtr server;
  };

  std::unique_ptr<FrameListener> Listen(FrameTransport::AcceptCallback on_accept,
                                        const std::string& address = "127.0.0.1:0") {
    auto listener = transport_->Listen(address, server_executor_, std::move(on_accept));
    EXPECT_TRUE(listener.ok()) << listener.status();
    return *std::move(listener);
  }

  absl::StatusOr<FrameConnectionPtr> Connect(const std::string& address, Duration timeout = kLong) {
    auto result = std::make_shared<Eventually<absl::StatusOr<FrameConnectionPtr>>>();
    transport_->Connect(address, timeout, client_executor_,
                        [result](auto connection) { result->Set(std::move(connection)); });
    return result->Get();
  }

  Ends ConnectEnds() {
    // Shared: a test that connects once more is accepted after this has returned.
    auto accepted = std::make_shared<Eventually<FrameConnectionPtr>>();
    listener_ = Listen([accepted](FrameConnectionPtr connection) { accepted->Set(connection); });
    auto client = Connect(listener_->address());
    EXPECT_TRUE(client.ok()) << client.status();
    return {*client, accepted->Get()};
  }

  static FrameConnection::Callbacks OnClosed(std::function<void(absl::Status)> on_closed) {
    return {[](std::string) {}, std::move(on_closed)};
  }

  ThreadPool pool_{2};
  FrameTransportPtr transport_ = NewAsioFrameTransport(pool_);
  ExecutorPtr client_executor_ = pool_.NewExecutor();
  ExecutorPtr server_executor_ = pool_.NewExecutor();
  std::unique_ptr<FrameListener> listener_;
};

TEST_F(AsioFrameTransportTest, FramesArriveWholeInOrderAndOnTheExecutor) {
  Ends ends = ConnectEnds();
  constexpr size_t kFrames = 2'000;
  std::vector<std::string> got;
  bool elsewhere = false;
  Eventually<bool> all;
  ends.server->Start({[&](std::string frame) {
                        elsewhere = elsewhere || !server_executor_->RunsInThisThread();
                        got.push_back(std::move(frame));
                        if (got.size() == kFrames) all.Set(true);
                      },
                      [](absl::Status) {}});
  for (size_t i = 0; i < kFrames; ++i) {
    // Empty ones, small ones and, now and then, one greater than every buffer on its way.
    ends.client->Send(std::string(i % 500 == 499 ? 3'000'000 : i % 97, static_cast<char>(i)));
  }
  all.Wait();
  for (size_t i = 0; i < kFrames; ++i) {
    ASSERT_EQ(got[i], std::string(i % 500 == 499 ? 3'000'000 : i % 97, static_cast<char>(i)));
  }
  EXPECT_FALSE(elsewhere);
  ends.client->Close();
  ends.server->Close();
}

TEST_F(AsioFrameTransportTest, FramesThatCameBeforeStartAreKept) {
  Ends ends = ConnectEnds();
  ends.client->Send("early");
  ends.client->Close();
  Eventually<std::string> frame;
  Eventually<absl::Status> closed;
  ends.server->Start({[&](std::string f) { frame.Set(std::move(f)); },
                      [&](absl::Status why) { closed.Set(std::move(why)); }});
  EXPECT_EQ(frame.Get(), "early");
  EXPECT_EQ(closed.Get().code(), absl::StatusCode::kAborted);
}

TEST_F(AsioFrameTransportTest, NobodyListeningIsRefused) {
  std::string address;
  {
    auto listener = Listen([](FrameConnectionPtr) {});
    address = listener->address();
  }
  const auto status = Connect(address).status();
  EXPECT_TRUE(IsRefused(status)) << status;
}

TEST_F(AsioFrameTransportTest, AnAddressThatIsNoneIsNotRefused) {
  for (const char* address : {"", "nonsense", ":80", "127.0.0.1:", "127.0.0.1:99999",
                              "127.0.0.1:http", "no..host:80", "255.255.255.255:9"}) {
    const auto status = Connect(address).status();
    EXPECT_FALSE(status.ok()) << address;
    EXPECT_FALSE(IsRefused(status)) << address << ": " << status;
  }
  EXPECT_EQ(Connect("nonsense").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(AsioFrameTransportTest, AFullBacklogIsSilenceNotRefusal) {
  // A listener that never accepts and whose backlog is full lets connects hang, as a stopped
  // process does.
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in bound{};
  bound.sin_family = AF_INET;
  bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof bound;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&bound), sizeof bound), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  const std::string address = "127.0.0.1:" + std::to_string(ntohs(bound.sin_port));
  RawSocket fills(address);
  const auto status = Connect(address, std::chrono::milliseconds(50)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  ::close(fd);
}

TEST_F(AsioFrameTransportTest, APortIsFreeAgainWhileOldConnectionsLive) {
  Ends ends = ConnectEnds();
  const std::string address = listener_->address();
  listener_.reset();
  Eventually<FrameConnectionPtr> accepted;
  listener_ = Listen([&](FrameConnectionPtr connection) { accepted.Set(connection); }, address);
  EXPECT_TRUE(Connect(address).ok());
  accepted.Wait();
}

TEST_F(AsioFrameTransportTest, BothSidesHearOfACloseExactlyOnce) {
  Ends ends = ConnectEnds();
  std::atomic<int> client_closed = 0, server_closed = 0;
  Eventually<bool> client_told, server_told;
  ends.client->Start(OnClosed([&](absl::Status) {
    ++client_closed;
    client_told.Set(true);
  }));
  ends.server->Start(OnClosed([&](absl::Status) {
    ++server_closed;
    server_told.Set(true);
  }));
  ends.client->Close();
  ends.client->Close();
  client_told.Wait();
  server_told.Wait();
  ends.server->Close();
  RunOn(*client_executor_, [] {});
  RunOn(*server_executor_, [] {});
  EXPECT_EQ(client_closed, 1);
  EXPECT_EQ(server_closed, 1);
}

TEST_F(AsioFrameTransportTest, WhatWasSentBeforeCloseArrives) {
  Ends ends = ConnectEnds();
  Eventually<absl::Status> closed;
  size_t bytes = 0;
  ends.server->Start({[&](std::string frame) { bytes += frame.size(); },
                      [&](absl::Status why) { closed.Set(std::move(why)); }});
  for (int i = 0; i < 20; ++i) ends.client->Send(std::string(500'000, 'x'));
  ends.client->Close();
  closed.Wait();
  EXPECT_EQ(bytes, 20u * 500'000);
}

TEST_F(AsioFrameTransportTest, APeerThatDoesNotReadIsDropped) {
  Ends ends = ConnectEnds();  // the server end is never started: nobody reads there
  Eventually<absl::Status> closed;
  ends.client->Start(OnClosed([&](absl::Status why) { closed.Set(std::move(why)); }));
  for (int i = 0; i < 100; ++i) ends.client->Send(std::string(1 << 20, 'x'));
  EXPECT_EQ(closed.Get().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(AsioFrameTransportTest, ReadingWaitsForASlowReceiver) {
  // The receiver's executor is busy: a connection that read on would take everything that is sent
  // into memory.
  Eventually<bool> may_go_on;
  Eventually<bool> reads;
  auto listener = Listen([&](FrameConnectionPtr connection) {
    connection->Start(OnClosed([](absl::Status) {}));
    server_executor_->Post([&] { may_go_on.Wait(); });
    reads.Set(true);
  });
  RawSocket raw(listener->address());
  reads.Wait();
  const std::string frame = Frame(std::string(1 << 20, 'x'));
  size_t written = 0;
  for (int i = 0; i < 200 && raw.WriteWhileTaken(frame, &written); ++i) {
  }
  EXPECT_LT(written, 100u << 20);
  may_go_on.Set(true);
  RunOn(*server_executor_, [] {});  // it looks at `may_go_on` until then
}

TEST_F(AsioFrameTransportTest, AFrameOverTheLimitClosesTheConnection) {
  Ends ends = ConnectEnds();
  Eventually<absl::Status> closed;
  ends.client->Start(OnClosed([&](absl::Status why) { closed.Set(std::move(why)); }));
  ends.client->Send(std::string(kMaxFrameBytes + 1, 'x'));
  EXPECT_EQ(closed.Get().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(AsioFrameTransportTest, AHeaderThatClaimsTooMuchClosesTheConnection) {
  Eventually<absl::Status> closed;
  auto listener = Listen([&](FrameConnectionPtr connection) {
    connection->Start(OnClosed([&](absl::Status why) { closed.Set(std::move(why)); }));
  });
  RawSocket raw(listener->address());
  raw.Write(Frame("fine") + "\x7f\xff\xff\xff and so on");
  EXPECT_EQ(closed.Get().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(raw.ReadAll(), "");
}

TEST_F(AsioFrameTransportTest, TheGreatestFrameArrives) {
  Ends ends = ConnectEnds();
  Eventually<size_t> size;
  ends.server->Start({[&](std::string frame) { size.Set(frame.size()); }, [](absl::Status) {}});
  ends.client->Send(std::string(kMaxFrameBytes, 'x'));
  EXPECT_EQ(size.Get(), kMaxFrameBytes);
  ends.server->Close();
}

TEST_F(AsioFrameTransportTest, ThePoolMayStopWithEverythingPending) {
  Ends ends = ConnectEnds();
  ends.client->Start(OnClosed([](absl::Status) {}));
  ends.server->Start(OnClosed([](absl::Status) {}));
  for (int i = 0; i < 10; ++i) ends.client->Send(std::string(1 << 20, 'x'));
  transport_->Connect(listener_->address(), kLong, client_executor_, [](auto) {});
  ends = {};
  listener_.reset();
  pool_.Stop();
}

}  // namespace
}  // namespace baton
