#include "store/blob_collector.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/store/standby_fixture.h"

namespace baton {
namespace {

using Code = absl::StatusCode;

// A disk whose owner may do something just before an order is carried out.
class WatchedPlace final : public BlobPlace {
 public:
  explicit WatchedPlace(BlobPlacePtr inner) : inner_(std::move(inner)) {}
  std::string name() const override { return "watched"; }
  void List(BlobKind kind, std::string after, size_t limit, PageCallback callback) override {
    inner_->List(kind, std::move(after), limit, std::move(callback));
  }
  void Collect(Epoch epoch, BlobKind kind, std::vector<StoredBlob> blobs,
               CountCallback callback) override {
    if (before_collect) before_collect();
    inner_->Collect(epoch, kind, std::move(blobs), std::move(callback));
  }
  std::function<void()> before_collect;

 private:
  const BlobPlacePtr inner_;
};

class BlobCollectorTest : public StandbyFixture {
 protected:
  BlobCollectorTest() {
    options_.grace = std::chrono::hours(1);
    options_.interval = std::chrono::minutes(10);
    place_ = std::make_shared<WatchedPlace>(NewLocalPlace(local_, [this] { return known_; }));
    places_ = {place_};
  }

  ~BlobCollectorTest() override { collector_ = nullptr; }

  void StartCollector() {
    collector_ = std::make_shared<BlobCollector>(BlobCollector::Dependencies{
        executor_, fence_, pins_, [this](auto callback) { callback(places_); },
        [this] { return own_graphs_; }, options_});
    collector_->Start();
  }

  std::string Put(const std::string& bytes, BlobKind kind = BlobKind::kJobGraph) {
    return *Run<absl::StatusOr<std::string>>(
        [&](auto done) { blobs_->Put(kind, bytes, std::move(done)); });
  }
  bool Holds(const std::string& digest) { return disk_->Has("job-graph", digest); }
  void Advance(Duration span) { scheduler_.AdvanceBy(span); }

  CollectionOptions options_;
  Epoch known_{1};
  std::shared_ptr<WatchedPlace> place_;
  std::vector<BlobPlacePtr> places_;
  std::set<std::string> own_graphs_;
  std::shared_ptr<BlobCollector> collector_;
};

constexpr auto kLater = std::chrono::minutes(75);

TEST_F(BlobCollectorTest, GarbageGoesAndWhatIsReferredToStays) {
  const std::string garbage = Put("garbage");
  const std::string live = Add(Id(1))->graph_digest();
  StartCollector();
  Advance(kLater);
  EXPECT_FALSE(Holds(garbage));
  EXPECT_FALSE(disk_->Has("blob-stamp", "job-graph/" + garbage));
  EXPECT_TRUE(Holds(live));
  ASSERT_TRUE(Commit(Id(1), ResultNow(), "archive").ok());
  Advance(kLater);
  EXPECT_FALSE(Holds(live)) << "its job has ended";
  EXPECT_TRUE(disk_->Has("archived-execution", Sha256Hex("archive")));
}

TEST_F(BlobCollectorTest, TheArchiveOfAnEvictedResultGoes) {
  ASSERT_TRUE(Add(Id(1)).ok());
  MakeResults({.max_age = std::chrono::hours(2), .min_age = std::chrono::hours(1)});
  ASSERT_TRUE(LoadHistory().ok());
  ASSERT_TRUE(Commit(Id(1), ResultNow(), "archive").ok());
  StartCollector();
  Advance(kLater);
  EXPECT_TRUE(disk_->Has("archived-execution", Sha256Hex("archive")));
  Advance(std::chrono::hours(2));
  EXPECT_FALSE(disk_->Has("archived-execution", Sha256Hex("archive")));
}

TEST_F(BlobCollectorTest, WhatWasStoredLatelyIsSpared) {
  const std::string garbage = Put("garbage");
  StartCollector();
  Advance(std::chrono::minutes(55));
  EXPECT_TRUE(Holds(garbage));
  Put("garbage");  // touched
  Advance(std::chrono::minutes(55));
  EXPECT_TRUE(Holds(garbage));
  Advance(std::chrono::minutes(20));
  EXPECT_FALSE(Holds(garbage));
}

TEST_F(BlobCollectorTest, WhatIsStoredAgainBeforeTheOrderArrivesStays) {
  const std::string digest = Put("a graph");
  bool stored = false;
  place_->before_collect = [&] {
    local_->Put(BlobKind::kJobGraph, "a graph", [&](auto status) { stored = status.ok(); });
  };
  StartCollector();
  Advance(kLater);
  EXPECT_TRUE(stored);
  EXPECT_TRUE(Holds(digest)) << "the Put was acknowledged, and the blob is gone";
}

TEST_F(BlobCollectorTest, WhatIsStoredAgainWhileItsStampIsReadStays) {
  const std::string digest = Put("a graph");
  const auto page = *Run<absl::StatusOr<std::vector<StoredBlob>>>(
      [&](auto done) { local_->List(BlobKind::kJobGraph, "", 10, std::move(done)); });
  std::optional<absl::Status> collected;
  local_->Collect(BlobKind::kJobGraph, digest, page[0].stamp,
                  [&](absl::Status status) { collected = std::move(status); });
  bool stored = false;
  local_->Put(BlobKind::kJobGraph, "a graph", [&](auto status) { stored = status.ok(); });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return stored && collected; }, std::chrono::seconds(1)));
  EXPECT_EQ(collected->code(), Code::kFailedPrecondition);
  EXPECT_TRUE(Holds(digest)) << "the Put was acknowledged, and the blob is gone";
}

TEST_F(BlobCollectorTest, AnOrderByAnOldStampDeletesNothing) {
  const std::string digest = Put("a graph");
  const auto page = *Run<absl::StatusOr<std::vector<StoredBlob>>>(
      [&](auto done) { local_->List(BlobKind::kJobGraph, "", 10, std::move(done)); });
  Put("a graph");
  const auto status = Run<absl::Status>([&](auto done) {
    local_->Collect(BlobKind::kJobGraph, digest, page[0].stamp, std::move(done));
  });
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_TRUE(Holds(digest));
}

// A damaged stamp may be any number: how long ago that was must have room as a Duration.
TEST_F(BlobCollectorTest, AnAbsurdStampIsADurationAllTheSame) {
  const std::string digest = Put("a graph");
  auto engine = std::make_shared<FakeKvEngine>(disk_, executor_, BlobFamilies());
  for (const char* stamp : {"-30000000000000-3", "-9223372036854775808-1", "9223372036854775807-1",
                            "99999999999999999999-1", "", "what?"}) {
    const auto damaged = Run<absl::Status>([&](auto done) {
      engine->Write({{"blob-stamp", "job-graph/" + digest, stamp}}, std::move(done));
    });
    ASSERT_TRUE(damaged.ok()) << damaged;
    const auto page = *Run<absl::StatusOr<std::vector<StoredBlob>>>(
        [&](auto done) { local_->List(BlobKind::kJobGraph, "", 10, std::move(done)); });
    ASSERT_EQ(page.size(), 1u);
    EXPECT_GE(page[0].untouched, Duration::zero()) << stamp;
    EXPECT_LE(page[0].untouched, std::chrono::hours(24 * 365 * 10)) << stamp;
  }
}

TEST_F(BlobCollectorTest, WhatACommitUnderWayMayReferToStays) {
  const std::string digest = Put("a graph");
  auto pin = pins_->Take(BlobKind::kJobGraph, digest);
  StartCollector();
  Advance(kLater);
  EXPECT_TRUE(Holds(digest));
  pin->Settle(absl::OkStatus());
  pin.reset();
  Advance(kLater);
  EXPECT_FALSE(Holds(digest));
}

TEST_F(BlobCollectorTest, AfterAnUnknownOutcomeItStays) {
  const std::string digest = Put("a graph");
  pins_->Take(BlobKind::kJobGraph, digest)->Settle(Unknown("no answer"));
  StartCollector();
  Advance(10 * kLater);
  EXPECT_TRUE(Holds(digest));
}

TEST_F(BlobCollectorTest, AnOlderLeaderIsRefused) {
  const std::string digest = Put("a graph");
  StartCollector();
  known_ = Epoch{2};
  Advance(kLater);
  EXPECT_TRUE(Holds(digest));
}

TEST_F(BlobCollectorTest, ADeposedLeaderOrdersNothing) {
  const std::string digest = Put("a graph");
  StartCollector();
  pb::LeaderRecord next;
  next.set_epoch(2);
  OverwriteEpoch(next);
  Advance(kLater);
  EXPECT_TRUE(Holds(digest));
  EXPECT_EQ(deposed_, 1);
}

TEST_F(BlobCollectorTest, F16AnUnreadableRecordMayReferToAnything) {
  ASSERT_TRUE(Add(Id(1)).ok());
  const std::string good = Node(paths_.job(Id(1)))->data;
  const std::string garbage = Put("garbage");
  Overwrite(paths_.job(Id(1)), "");
  StartCollector();
  Advance(kLater);
  EXPECT_TRUE(Holds(garbage));
  Overwrite(paths_.job(Id(1)), good);
  Advance(kLater);
  EXPECT_FALSE(Holds(garbage));
}

TEST_F(BlobCollectorTest, F16AFolderThatIsMissingDoesNotMakeItsJobsGarbage) {
  const std::string live = Add(Id(1))->graph_digest();
  StartCollector();
  for (const auto& path : {paths_.job(Id(1)), paths_.jobs() + "/" + Id(1).Bucket()}) {
    ASSERT_TRUE(Run<absl::Status>([&](auto done) {
                  other_->Delete(path, kAnyVersion, std::move(done));
                }).ok());
  }
  Advance(kLater);
  EXPECT_TRUE(Holds(live));
  // Somebody made the folder again. The job runs here.
  own_graphs_ = {live};
  Prepare();
  Advance(kLater);
  EXPECT_TRUE(Holds(live));
}

TEST_F(BlobCollectorTest, APeersDiskIsCollectedThroughItsLink) {
  // The place behind the link is the leader's own disk here: the way there is what counts.
  auto server =
      std::make_shared<RpcServer>(network_->NewProcess("peer"), executor_, HelloOf("peer"));
  RequestDesk desk(*server, executor_);
  ServePlace(desk, NewLocalPlace(local_, [this] { return known_; }));
  ASSERT_TRUE(server->Start("peer:6123").ok());
  std::optional<RpcLinkPtr> opened;
  const FrameTransportPtr transport = network_->NewProcess("leader2");
  RpcLink::Connect(*transport, "peer:6123", HelloOf("leader2"), executor_, std::chrono::seconds(5),
                   [&opened](absl::StatusOr<RpcLinkPtr> link) { opened = *link; });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return opened.has_value(); }, std::chrono::seconds(10)));
  (*opened)->Start({[](auto&&...) {}, [](auto&&...) {}});
  places_ = {NewPeerPlace(*opened)};
  std::vector<std::string> garbage;
  for (int i = 0; i < 1'500; ++i) garbage.push_back(Put("garbage " + std::to_string(i)));
  const std::string live = Add(Id(1))->graph_digest();
  StartCollector();
  known_ = Epoch{2};
  Advance(kLater);
  EXPECT_TRUE(Holds(garbage[0])) << "an order of an older epoch was obeyed";
  known_ = Epoch{1};
  Advance(kLater);
  for (const auto& digest : garbage) EXPECT_FALSE(Holds(digest));
  EXPECT_TRUE(Holds(live));
  collector_ = nullptr;
  places_.clear();
  (*opened)->Close();
  server->Stop();
}

// Jobs with one of three graphs come and end all the time, and the collector, without any grace,
// runs all the time: a pointer that is committed always has its graph.
TEST(BlobCollectorPropertyTest, NoPointerEverLacksItsBlobEvenWithoutAnyGrace) {
  class Fixture : public BlobCollectorTest {
   public:
    explicit Fixture(uint64_t seed) : random_(seed) {
      options_.grace = Duration::zero();
      options_.interval = std::chrono::microseconds(300);
      StartCollector();
    }
    void TestBody() override {
      for (int step = 0; step < 40; ++step) {
        const int i = static_cast<int>(random_() % 4);
        pb::JobPointer pointer;
        if (live_.contains(i)) {
          results_->Commit(Id(i + 10 * rounds_[i]), ResultNow(), "", [](absl::Status) {});
          live_.erase(i);
          ++rounds_[i];
        } else {
          graphs_->Add(Id(i + 10 * rounds_[i]), Graph(std::to_string(i % 3)), pointer, [](auto) {});
          live_.insert(i);
        }
        scheduler_.AdvanceBy(std::chrono::microseconds(random_() % 1500));
        Check();
      }
    }
    void Check() {
      const auto listed = List();
      for (const auto& found : *listed) {
        ASSERT_TRUE(Holds(found.pointer->graph_digest())) << "job " << found.id.ToString();
      }
    }
    std::mt19937_64 random_;
    std::set<int> live_;
    std::map<int, int> rounds_;
  };
  for (uint64_t seed = 1; seed <= 10 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Fixture(seed).TestBody();
  }
}

}  // namespace
}  // namespace baton
