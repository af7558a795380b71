#include "store/blob_store.h"

#include <gtest/gtest.h>

#include "base/fault_point.h"
#include "tests/store/replica_fixture.h"

namespace baton {
namespace {

using Code = absl::StatusCode;
using BlobStoreTest = ReplicaFixture;

const std::string kBytes = "a job graph";
const std::string kDigest = Sha256Hex(kBytes);

TEST_F(BlobStoreTest, TheDigestIsTheName) {
  EXPECT_EQ(*Put(*local_, kBytes), kDigest);
  EXPECT_EQ(*Get(*local_, kDigest), kBytes);
  EXPECT_EQ(*Put(*local_, kBytes), kDigest) << "again is no error";
}

TEST_F(BlobStoreTest, KindsAreApart) {
  ASSERT_TRUE(Put(*local_, kBytes).ok());
  EXPECT_EQ(Get(*local_, kDigest, BlobKind::kArchivedExecution).status().code(), Code::kNotFound);
}

TEST_F(BlobStoreTest, AFlippedBitIsSeen) {
  ASSERT_TRUE(Put(*local_, kBytes).ok());
  disk_->FlipBit("job-graph", kDigest);
  EXPECT_EQ(Get(*local_, kDigest).status().code(), Code::kDataLoss);
}

TEST_F(BlobStoreTest, AFullDiskSaysSo) {
  disk_->SetFull(true);
  EXPECT_EQ(Put(*local_, kBytes).status().code(), Code::kResourceExhausted);
  disk_->SetFull(false);
  EXPECT_TRUE(Put(*local_, kBytes).ok());
}

TEST_F(BlobStoreTest, EveryPeerGetsACopy) {
  FakePeer& b = AddPeer("b");
  FakePeer& c = AddPeer("c");
  auto store = NewStore(2);
  EXPECT_EQ(*Put(*store, kBytes), kDigest);
  scheduler_.AdvanceBy(std::chrono::seconds(1));
  EXPECT_TRUE(Holds(*disk_, kDigest));
  EXPECT_TRUE(Holds(*b.disk, kDigest));
  EXPECT_TRUE(Holds(*c.disk, kDigest));
}

TEST_F(BlobStoreTest, TooFewReplicasAreCountedInTheError) {
  auto store = NewStore(2);
  const auto status = Put(*store, kBytes).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(Message(status), "stored on 1 of 2 required replicas (reachable peers: 0)");
}

TEST_F(BlobStoreTest, OneCopyIsEnoughWhereOneIsAskedFor) {
  EXPECT_TRUE(Put(*NewStore(1), kBytes).ok());
}

TEST_F(BlobStoreTest, ItIsNotAcknowledgedBeforeMinCopiesAreSynced) {
  FakePeer& b = AddPeer("b");
  b.executor->Pause();
  auto answer = NewAnswer<absl::StatusOr<std::string>>();
  NewStore(2)->Put(BlobKind::kJobGraph, kBytes, Fill(answer));
  scheduler_.AdvanceBy(std::chrono::seconds(4));
  EXPECT_TRUE(Holds(*disk_, kDigest));
  EXPECT_FALSE(answer->has_value()) << "one of two copies is not enough";
  b.executor->Resume();
  EXPECT_TRUE(Await(answer).ok());
  EXPECT_TRUE(Holds(*b.disk, kDigest));
}

TEST_F(BlobStoreTest, TwoPeersDoNotReplaceTheLocalCopy) {
  AddPeer("b");
  AddPeer("c");
  disk_->SetFull(true);
  const auto status = Put(*NewStore(2), kBytes).status();
  EXPECT_EQ(Message(status), "the local copy: the disk is full");
  EXPECT_EQ(status.code(), Code::kUnavailable) << status;
}

TEST_F(BlobStoreTest, ASlowPeerHoldsNobodyUp) {
  AddPeer("b");
  AddPeer("c").executor->Pause();
  auto answer = NewAnswer<absl::StatusOr<std::string>>();
  NewStore(2)->Put(BlobKind::kJobGraph, kBytes, Fill(answer));
  EXPECT_TRUE(
      scheduler_.RunUntil([&] { return answer->has_value(); }, std::chrono::milliseconds(100)));
}

TEST_F(BlobStoreTest, ASilentPeerEndsInAnErrorInBoundedTime) {
  AddPeer("b").executor->Pause();
  const auto status = Put(*NewStore(2), kBytes).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(Message(status).find("stored on 1 of 2 required replicas (reachable peers: 1)"),
            std::string::npos)
      << status;
}

TEST_F(BlobStoreTest, APeerWithAFullDiskDoesNotCount) {
  AddPeer("b").disk->SetFull(true);
  const auto status = Put(*NewStore(2), kBytes).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(Message(status).find("b: the disk is full"), std::string::npos) << status;
}

TEST_F(BlobStoreTest, APeerThatDiesDoesNotCount) {
  AddPeer("b");
  auto answer = NewAnswer<absl::StatusOr<std::string>>();
  NewStore(2)->Put(BlobKind::kJobGraph, kBytes, Fill(answer));
  network_->Kill("b");
  peers_["b"]->executor->Kill();
  EXPECT_EQ(Await(answer).status().code(), Code::kUnavailable);
}

TEST_F(BlobStoreTest, APeerThatIsLinkedAMomentLaterCounts) {
  auto answer = NewAnswer<absl::StatusOr<std::string>>();
  auto store = NewStore(2);
  store->Put(BlobKind::kJobGraph, kBytes, Fill(answer));
  scheduler_.AdvanceBy(std::chrono::seconds(1));
  EXPECT_FALSE(answer->has_value()) << "it was refused before the peer could be linked";
  FakePeer& b = AddPeer("b");
  EXPECT_TRUE(
      scheduler_.RunUntil([&] { return answer->has_value(); }, std::chrono::milliseconds(200)));
  EXPECT_TRUE(Await(answer).ok());
  EXPECT_TRUE(Holds(*b.disk, kDigest));
}

TEST_F(BlobStoreTest, TooLargeABlobIsRefusedAtOnce) {
  EXPECT_EQ(Put(*NewStore(1), std::string(kMaxFrameBytes, 'x')).status().code(),
            Code::kInvalidArgument);
}

TEST_F(BlobStoreTest, ManyLargeBlobsAtOnceDoNotOverrunALink) {
  AddPeer("b");
  auto store = NewStore(2);
  std::vector<Answer<absl::StatusOr<std::string>>> answers;
  for (int i = 0; i < 12; ++i) {
    answers.push_back(NewAnswer<absl::StatusOr<std::string>>());
    store->Put(BlobKind::kJobGraph, std::string(8 << 20, static_cast<char>('a' + i)),
               Fill(answers.back()));
  }
  for (const auto& answer : answers) EXPECT_TRUE(Await(answer).ok());
  EXPECT_FALSE(links_[0]->closed());
}

// A peer whose disk has too much to do.
class BusyPeer : public BlobStore {
 public:
  explicit BusyPeer(BlobStorePtr store) : store_(std::move(store)) {}
  void Put(BlobKind kind, std::string bytes, PutCallback callback) override {
    store_->Put(kind, std::move(bytes), std::move(callback));
  }
  void Get(BlobKind kind, std::string digest, GetCallback callback) override {
    ++asked;
    if (busy) return callback(ResourceExhausted("it is busy"));
    store_->Get(kind, std::move(digest), std::move(callback));
  }

  bool busy = true;
  int asked = 0;

 private:
  const BlobStorePtr store_;
};

TEST_F(BlobStoreTest, AMissingBlobIsPulledAndKept) {
  FakePeer& b = AddPeer("b");
  ASSERT_TRUE(Put(*b.local, kBytes).ok());
  EXPECT_EQ(*Get(*NewStore(2), kDigest), kBytes);
  scheduler_.AdvanceBy(std::chrono::seconds(1));
  EXPECT_TRUE(Holds(*disk_, kDigest));
}

TEST_F(BlobStoreTest, ACorruptCopyIsHealedFromAPeer) {
  AddPeer("b");
  auto store = NewStore(2);
  ASSERT_TRUE(Put(*store, kBytes).ok());
  disk_->FlipBit("job-graph", kDigest);
  EXPECT_EQ(*Get(*store, kDigest), kBytes);
  scheduler_.AdvanceBy(std::chrono::seconds(1));
  EXPECT_EQ(*Get(*local_, kDigest), kBytes);
}

TEST_F(BlobStoreTest, OnlyCorruptCopiesAreDataLoss) {
  FakePeer& b = AddPeer("b");
  auto store = NewStore(2);
  ASSERT_TRUE(Put(*store, kBytes).ok());
  disk_->FlipBit("job-graph", kDigest);
  b.disk->FlipBit("job-graph", kDigest);
  EXPECT_EQ(Get(*store, kDigest).status().code(), Code::kDataLoss);
}

TEST_F(BlobStoreTest, NoCopyAnywhereIsNotFound) {
  AddPeer("b");
  AddPeer("c");
  EXPECT_EQ(Get(*NewStore(2), kDigest).status().code(), Code::kNotFound);
}

TEST_F(BlobStoreTest, APullPassesASilentPeerBy) {
  AddPeer("b").executor->Pause();
  ASSERT_TRUE(Put(*AddPeer("c").local, kBytes).ok());
  auto answer = NewAnswer<absl::StatusOr<std::string>>();
  NewStore(2)->Get(BlobKind::kJobGraph, kDigest, Fill(answer));
  EXPECT_TRUE(scheduler_.RunUntil([&] { return answer->has_value(); }, std::chrono::seconds(1)));
  EXPECT_EQ(***answer, kBytes);
}

class BusyPeerTest : public BlobStoreTest {
 protected:
  // A Get of what only `peer` has, which is busy for two seconds.
  void GetFrom(FakePeer& peer, int asked_at_least) {
    ASSERT_TRUE(Put(*peer.local, kBytes).ok());
    RequestDesk desk(*peer.server, peer.executor);
    auto busy = std::make_shared<BusyPeer>(peer.local);
    ServeBlobs(desk, busy);
    auto answer = NewAnswer<absl::StatusOr<std::string>>();
    NewStore(2)->Get(BlobKind::kJobGraph, kDigest, Fill(answer));
    scheduler_.AdvanceBy(std::chrono::seconds(2));
    EXPECT_FALSE(answer->has_value()) << (*answer)->status();
    EXPECT_GE(busy->asked, asked_at_least);
    EXPECT_LE(busy->asked, 20) << "it is busy as it is";
    busy->busy = false;
    const auto found = Await(answer);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, kBytes);
  }
};

// It has the only copy, and no time to look: that is not "nowhere".
TEST_F(BusyPeerTest, IsAskedAgain) {
  FakePeer& b = AddPeer("b");
  AddPeer("c");
  GetFrom(b, 5);
}

TEST_F(BusyPeerTest, IsAskedAgainWhileAnotherIsSilent) {
  AddPeer("a-silent").executor->Pause();
  GetFrom(AddPeer("b"), 3);
}

TEST_F(BlobStoreTest, WhereAPeerDidNotSayNothingIsSaidOfTheBlob) {
  RequestDesk desk(*AddPeer("busy").server, executor_);
  ServeBlobs(desk, std::make_shared<BusyPeer>(local_));
  AddPeer("c");
  auto store = NewStore(2);
  const TimePoint begin = executor_->Now();
  const auto nowhere = Get(*store, kDigest).status();
  EXPECT_EQ(nowhere.code(), Code::kUnavailable) << nowhere;
  EXPECT_NE(Message(nowhere).find("1 of 2 reachable peers may hold"), std::string::npos) << nowhere;
  EXPECT_NE(Message(nowhere).find("it is busy"), std::string::npos) << nowhere;
  EXPECT_LT(executor_->Now() - begin, std::chrono::seconds(7)) << "bounded";
  ASSERT_TRUE(Put(*local_, kBytes).ok());
  disk_->FlipBit("job-graph", kDigest);
  EXPECT_EQ(Get(*store, kDigest).status().code(), Code::kUnavailable) << "the copy may be good";
}

TEST_F(BlobStoreTest, ASilentPeerMayHoldTheLastCopy) {
  AddPeer("silent").executor->Pause();
  AddPeer("c");
  const auto status = Get(*NewStore(2), kDigest).status();
  EXPECT_EQ(status.code(), Code::kUnavailable) << status;
}

// A peer that answers whatever it likes.
class LyingPeer : public BlobStore {
 public:
  void Put(BlobKind, std::string, PutCallback callback) override { callback(kDigest); }
  void Get(BlobKind, std::string, GetCallback callback) override { callback("something else"); }
};

TEST_F(BlobStoreTest, WhatAPeerSendsIsVerified) {
  FakePeer& liar = AddPeer("liar");
  RequestDesk desk(*liar.server, liar.executor);
  ServeBlobs(desk, std::make_shared<LyingPeer>());
  EXPECT_EQ(Get(*NewStore(2), kDigest).status().code(), Code::kDataLoss);
  EXPECT_FALSE(Holds(*disk_, kDigest));
  ASSERT_TRUE(Put(*AddPeer("honest").local, kBytes).ok());
  EXPECT_EQ(*Get(*NewStore(2), kDigest), kBytes);
}

TEST_F(BlobStoreTest, APeerWhoseStoreIsBusyRefusesAndStillAnswers) {
  FakePeer& b = AddPeer("b");
  b.server->Handle(pb::Envelope::kPing, [](const RpcLinkPtr& link, const pb::Envelope& ping) {
    pb::Envelope pong;
    pong.mutable_pong();
    link->Reply(ping, std::move(pong));
  });
  b.store_executor->Pause();
  pb::Envelope request;
  request.mutable_put_blob()->set_kind("job-graph");
  request.mutable_put_blob()->set_content(std::string(12 << 20, 'x'));
  request.mutable_put_blob()->set_digest(Sha256Hex(request.put_blob().content()));
  std::vector<Answer<absl::StatusOr<pb::Envelope>>> answers;
  for (int i = 0; i < 8; ++i) {
    answers.push_back(NewAnswer<absl::StatusOr<pb::Envelope>>());
    links_[0]->Call(request, std::chrono::minutes(1), Fill(answers.back()));
    scheduler_.AdvanceBy(std::chrono::milliseconds(100));  // or its queue is full
  }
  EXPECT_EQ(Await(answers.back()).status().code(), Code::kResourceExhausted);
  auto pong = NewAnswer<absl::StatusOr<pb::Envelope>>();
  pb::Envelope ping;
  ping.mutable_ping();
  links_[0]->Call(ping, std::chrono::seconds(1), Fill(pong));
  EXPECT_TRUE(Await(pong).ok()) << "it waits behind bytes";
  EXPECT_FALSE(answers.front()->has_value());
  b.store_executor->Resume();
  EXPECT_TRUE(Await(answers.front()).ok());
  EXPECT_TRUE(Await(answers[6]).ok());
}

TEST_F(BlobStoreTest, APeerStoresNothingThatIsNotWhatItIsCalled) {
  FakePeer& b = AddPeer("b");
  pb::Envelope request;
  request.mutable_put_blob()->set_kind("job-graph");
  request.mutable_put_blob()->set_digest(kDigest);
  request.mutable_put_blob()->set_content("something else");
  auto answer = NewAnswer<absl::StatusOr<pb::Envelope>>();
  links_[0]->Call(request, std::chrono::seconds(5), Fill(answer));
  EXPECT_EQ(Await(answer).status().code(), Code::kDataLoss);
  EXPECT_EQ(b.disk->size(), 0u);
  request.mutable_put_blob()->set_kind("no such kind");
  answer = NewAnswer<absl::StatusOr<pb::Envelope>>();
  links_[0]->Call(request, std::chrono::seconds(5), Fill(answer));
  EXPECT_EQ(Await(answer).status().code(), Code::kInvalidArgument);
}

TEST_F(BlobStoreTest, TheFaultPointStandsBetweenTheLocalCopyAndThePeers) {
  FakePeer& b = AddPeer("b");
  b.executor->Pause();
  std::vector<std::string> reached;
  SetFaultPointHandler([&](std::string_view name) {
    reached.emplace_back(name);
    EXPECT_TRUE(Holds(*disk_, kDigest));
    EXPECT_FALSE(Holds(*b.disk, kDigest));
  });
  auto store = NewStore(2);
  EXPECT_FALSE(Put(*store, kBytes, BlobKind::kJobGraph).ok());
  EXPECT_FALSE(Put(*store, kBytes, BlobKind::kArchivedExecution).ok());
  SetFaultPointHandler(nullptr);
  EXPECT_EQ(reached, std::vector<std::string>{"submission.stored-locally"});
}

}  // namespace
}  // namespace baton
