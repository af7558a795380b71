#include "rpc/rpc_link.h"

#include <gtest/gtest.h>

#include <thread>

#include "rpc/rpc_server.h"
#include "tests/rpc/loopback.h"

namespace baton {
namespace {

pb::Hello HelloOf(const std::string& id, const std::string& cluster = "test") {
  pb::Hello hello;
  hello.set_cluster_id(cluster);
  hello.set_id(id);
  hello.set_incarnation(id + "-life");
  return hello;
}

pb::Envelope PutRequest(const std::string& content) {
  pb::Envelope envelope;
  envelope.mutable_put_blob()->set_content(content);
  return envelope;
}

class RpcLinkTest : public testing::Test {
 protected:
  RpcLinkTest() {
    server_->Handle(pb::Envelope::kPutBlob, [](const RpcLinkPtr& link, pb::Envelope message) {
      pb::Envelope reply;
      reply.mutable_get_blob_reply()->set_content(message.put_blob().content());
      link->Reply(message, std::move(reply));
    });
    server_->Handle(pb::Envelope::kPing, [](const RpcLinkPtr&, pb::Envelope) {});  // no answer
    server_->Handle(pb::Envelope::kGetBlob, [](const RpcLinkPtr& link, pb::Envelope message) {
      link->ReplyError(message, NotFound("no blob {}", message.get_blob().digest()));
    });
    server_->Observe({[this](const RpcLinkPtr& link) { accepted_.Set(link); },
                      [this](const RpcLinkPtr&, absl::Status why) { server_closed_.Set(why); }});
    RunOn(*executor_, [this] { EXPECT_TRUE(server_->Start("127.0.0.1:0").ok()); });
  }

  ~RpcLinkTest() override {
    RunOn(*executor_, [this] { server_->Stop(); });
    pool_.Stop();
  }

  absl::StatusOr<RpcLinkPtr> Connect(const pb::Hello& self, Duration timeout = kLong) {
    auto result = std::make_shared<Eventually<absl::StatusOr<RpcLinkPtr>>>();
    RpcLink::Connect(*transport_, server_->address(), self, client_executor_, timeout,
                     [result](auto link) { result->Set(std::move(link)); });
    return result->Get();
  }

  RpcLinkPtr ConnectOrDie() {
    auto link = Connect(HelloOf("client"));
    EXPECT_TRUE(link.ok()) << link.status();
    return *link;
  }

  absl::StatusOr<pb::Envelope> Call(const RpcLinkPtr& link, pb::Envelope request,
                                    Duration timeout = kLong) {
    auto result = std::make_shared<Eventually<absl::StatusOr<pb::Envelope>>>();
    link->Call(std::move(request), timeout,
               [result](auto reply) { result->Set(std::move(reply)); });
    return result->Get();
  }

  ThreadPool pool_{2};
  FrameTransportPtr transport_ = NewAsioFrameTransport(pool_);
  ExecutorPtr executor_ = pool_.NewExecutor();
  ExecutorPtr client_executor_ = pool_.NewExecutor();
  std::shared_ptr<RpcServer> server_ =
      std::make_shared<RpcServer>(transport_, executor_, HelloOf("server"));
  Eventually<RpcLinkPtr> accepted_;
  Eventually<absl::Status> server_closed_;
};

TEST_F(RpcLinkTest, BothSidesLearnWhoTheOtherIs) {
  RpcLinkPtr link = ConnectOrDie();
  EXPECT_EQ(link->peer().id(), "server");
  EXPECT_EQ(link->peer().incarnation(), "server-life");
  EXPECT_EQ(accepted_.Get()->peer().id(), "client");
}

TEST_F(RpcLinkTest, EitherSideMayAsk) {
  RpcLinkPtr link = ConnectOrDie();
  link->Start({[](const RpcLinkPtr& self, pb::Envelope message) {
                 pb::Envelope reply;
                 reply.mutable_pong()->set_epoch(7);
                 self->Reply(message, std::move(reply));
               },
               [](const RpcLinkPtr&, absl::Status) {}});
  auto there = Call(link, PutRequest("hello"));
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_EQ(there->get_blob_reply().content(), "hello");
  pb::Envelope ping;
  ping.mutable_ping();
  auto back = Call(accepted_.Get(), ping);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->pong().epoch(), 7u);
}

TEST_F(RpcLinkTest, AnErrorReplyArrivesAsItsStatus) {
  pb::Envelope request;
  request.mutable_get_blob()->set_digest("abc");
  const auto status = Call(ConnectOrDie(), request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "no blob abc");
}

TEST_F(RpcLinkTest, WhatNobodyServesIsAnsweredNotIgnored) {
  RpcLinkPtr link = ConnectOrDie();
  pb::Envelope request;
  request.mutable_heartbeat();
  EXPECT_EQ(Call(link, request).status().code(), absl::StatusCode::kUnimplemented);
  // A kind of a later version: its field is unknown here, so that no message is set.
  EXPECT_EQ(Call(link, pb::Envelope()).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(Call(link, PutRequest("the link lives on")).ok());
}

TEST_F(RpcLinkTest, ACallThatIsNotAnsweredTimesOut) {
  RpcLinkPtr link = ConnectOrDie();
  pb::Envelope ping;
  ping.mutable_ping();
  EXPECT_EQ(Call(link, ping, std::chrono::milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Call(link, PutRequest("the link lives on")).ok());
}

TEST_F(RpcLinkTest, PendingCallsEndWithUnknownAndLaterOnesWithUnavailable) {
  RpcLinkPtr link = ConnectOrDie();
  std::vector<std::string> order;
  Eventually<bool> closed;
  link->Start({[](const RpcLinkPtr&, pb::Envelope) {},
               [&](const RpcLinkPtr&, absl::Status) {
                 order.push_back("closed");
                 closed.Set(true);
               }});
  pb::Envelope ping;
  ping.mutable_ping();
  link->Call(ping, kLong, [&](auto reply) {
    order.push_back(std::string(absl::StatusCodeToString(reply.status().code())));
  });
  accepted_.Get()->Close();
  closed.Wait();
  EXPECT_EQ(order, (std::vector<std::string>{"UNKNOWN", "closed"}));
  EXPECT_EQ(Call(link, ping).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RpcLinkTest, TheLastReferenceEndsTheLinkAndItsCalls) {
  Eventually<absl::StatusCode> code;
  {
    RpcLinkPtr link = ConnectOrDie();
    pb::Envelope ping;
    ping.mutable_ping();
    link->Call(ping, kLong, [&](auto reply) { code.Set(reply.status().code()); });
  }
  EXPECT_EQ(code.Get(), absl::StatusCode::kUnknown);
  server_closed_.Wait();
}

TEST_F(RpcLinkTest, AForeignClusterIsRefused) {
  const auto status = Connect(HelloOf("client", "another")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(Message(status).find("cluster"), std::string::npos);
}

TEST_F(RpcLinkTest, AnUnknownProtocolVersionIsRefusedWithTheReason) {
  pb::Envelope envelope;
  envelope.set_protocol_version(99);
  *envelope.mutable_hello() = HelloOf("from the future");
  RawSocket raw(server_->address());
  raw.Write(Frame(envelope.SerializeAsString()));
  EXPECT_NE(raw.ReadAll().find("speaks protocol version 99"), std::string::npos);
}

TEST_F(RpcLinkTest, AnAnswerThatIsAnErrorEndsTheHandshakeWithItsReason) {
  Eventually<absl::Status> opened;
  auto listener = transport_->Listen("127.0.0.1:0", executor_, [](FrameConnectionPtr connection) {
    pb::Envelope envelope;
    envelope.mutable_error()->set_code(
        static_cast<uint32_t>(absl::StatusCode::kFailedPrecondition));
    envelope.mutable_error()->set_message("not with you");
    connection->Send(envelope.SerializeAsString());
  });
  RpcLink::Connect(*transport_, (*listener)->address(), HelloOf("client"), client_executor_, kLong,
                   [&](auto link) { opened.Set(link.status()); });
  EXPECT_EQ(opened.Get().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(opened.Get()).find("not with you"), std::string::npos);
}

TEST_F(RpcLinkTest, ASilentPeerEndsTheHandshake) {
  Eventually<FrameConnectionPtr> silent;
  Eventually<absl::Status> opened;
  auto listener = transport_->Listen(
      "127.0.0.1:0", executor_, [&](FrameConnectionPtr connection) { silent.Set(connection); });
  RpcLink::Connect(*transport_, (*listener)->address(), HelloOf("client"), client_executor_,
                   std::chrono::milliseconds(20), [&](auto link) { opened.Set(link.status()); });
  EXPECT_EQ(opened.Get().code(), absl::StatusCode::kDeadlineExceeded) << opened.Get();
  silent.Wait();  // it may have been accepted later than it was given up
}

TEST_F(RpcLinkTest, AConnectionThatBreaksDuringTheHandshakeIsNoRefusal) {
  Eventually<absl::Status> opened;
  auto listener = transport_->Listen("127.0.0.1:0", executor_,
                                     [](FrameConnectionPtr connection) { connection->Close(); });
  RpcLink::Connect(*transport_, (*listener)->address(), HelloOf("client"), client_executor_, kLong,
                   [&](auto link) { opened.Set(link.status()); });
  EXPECT_EQ(opened.Get().code(), absl::StatusCode::kAborted) << opened.Get();
}

TEST_F(RpcLinkTest, GarbageClosesTheLinkAndTheServerGoesOn) {
  {
    RawSocket raw(server_->address());
    raw.Write(Frame("\xff\xff\xff\xff garbage"));
    raw.ReadAll();
  }
  {
    RawSocket raw(server_->address());
    raw.Write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    raw.ReadAll();
  }
  {
    pb::Envelope hello;
    hello.set_protocol_version(kProtocolVersion);
    *hello.mutable_hello() = HelloOf("liar");
    RawSocket raw(server_->address());
    raw.Write(Frame(hello.SerializeAsString()) + Frame("\x08"));
    raw.ReadAll();
    EXPECT_EQ(server_closed_.Get().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(Call(ConnectOrDie(), PutRequest("still here")).ok());
}

TEST_F(RpcLinkTest, AMessageOverTheLimitCostsNoLink) {
  RpcLinkPtr link = ConnectOrDie();
  const auto status = Call(link, PutRequest(std::string(kMaxFrameBytes, 'x'))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(Call(link, PutRequest(std::string(kMaxFrameBytes - 1000, 'x'))).ok());
}

TEST_F(RpcLinkTest, ManyCallsFromManyThreadsFindTheirReplies) {
  RpcLinkPtr link = ConnectOrDie();
  constexpr int kThreads = 4, kCalls = 1'000;
  std::atomic<int> left = kThreads * kCalls, wrong = 0;
  Eventually<bool> all;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        std::string content = std::to_string(t * kCalls + i);
        link->Call(PutRequest(content), kLong, [&, content](auto reply) {
          if (!reply.ok() || reply->get_blob_reply().content() != content) ++wrong;
          if (--left == 0) all.Set(true);
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  all.Wait();
  EXPECT_EQ(wrong, 0);
}

TEST_F(RpcLinkTest, TooManyPendingCallsAreRefused) {
  RpcLinkPtr link = ConnectOrDie();
  pb::Envelope ping;
  ping.mutable_ping();
  for (int i = 0; i < 10'000; ++i) link->Call(ping, kLong, [](auto) {});
  EXPECT_EQ(Call(link, ping).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(RpcLinkTest, MessagesBeforeStartAreKeptInOrder) {
  RpcLinkPtr link = ConnectOrDie();
  RpcLinkPtr server = accepted_.Get();
  for (uint64_t i = 0; i < 10; ++i) {
    pb::Envelope pong;
    pong.mutable_pong()->set_epoch(i);
    server->Send(std::move(pong));
  }
  server->Close();
  std::vector<uint64_t> got;
  Eventually<bool> closed;
  link->Start({[&](const RpcLinkPtr&, pb::Envelope m) { got.push_back(m.pong().epoch()); },
               [&](const RpcLinkPtr&, absl::Status) { closed.Set(true); }});
  closed.Wait();
  EXPECT_EQ(got, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(RpcLinkTest, AFloodRightBehindTheHelloIsServed) {
  pb::Envelope hello;
  hello.set_protocol_version(kProtocolVersion);
  *hello.mutable_hello() = HelloOf("eager");
  pb::Envelope request = PutRequest("");
  request.set_protocol_version(kProtocolVersion);
  constexpr uint64_t kRequests = 20'000;
  auto connected = std::make_shared<Eventually<FrameConnectionPtr>>();
  transport_->Connect(server_->address(), kLong, client_executor_,
                      [connected](auto made) { connected->Set(*std::move(made)); });
  // Read without a link: its frames are counted, the first is the server's Hello.
  Eventually<bool> all;
  uint64_t frames = 0;
  const FrameConnectionPtr connection = connected->Get();
  connection->Start({[&](std::string) {
                       if (++frames == kRequests + 1) all.Set(true);
                     },
                     [](absl::Status) {}});
  connection->Send(hello.SerializeAsString());
  for (uint64_t i = 1; i <= kRequests; ++i) {
    request.set_correlation_id(i);
    connection->Send(request.SerializeAsString());
  }
  all.Wait();
  connection->Close();
}

TEST_F(RpcLinkTest, AStoppedServerRefuses) {
  RpcLinkPtr link = ConnectOrDie();
  accepted_.Wait();
  const std::string address = server_->address();
  RunOn(*executor_, [this] { server_->Stop(); });
  server_closed_.Wait();
  Eventually<absl::Status> again;
  RpcLink::Connect(*transport_, address, HelloOf("client"), client_executor_, kLong,
                   [&](auto opened) { again.Set(opened.status()); });
  EXPECT_TRUE(IsRefused(again.Get())) << again.Get();
}

}  // namespace
}  // namespace baton
