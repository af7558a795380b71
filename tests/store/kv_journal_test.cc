// The journal on a KvEngine, the fake and RocksDB: what was appended is what is loaded.

#include "store/kv_journal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/asio_executor.h"
#include "store/acknowledged_mark.h"
#include "tests/rpc/loopback.h"
#include "tests/store/fake_kv_engine.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

NodeData Node(std::string data, int32_t version = 0, int64_t zxid = 1) {
  return {std::move(data), {.version = version, .ephemeral_owner = 0, .created_zxid = zxid}};
}

// What outlives the engines opened on it.
class Place {
 public:
  virtual ~Place() = default;
  virtual KvEnginePtr Open() = 0;
};

class FakePlace final : public Place {
 public:
  KvEnginePtr Open() override {
    return std::make_shared<FakeKvEngine>(disk_, pool_.NewExecutor(),
                                          std::vector<std::string>{JournalFamily()});
  }

 private:
  ThreadPool pool_{1};
  const std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
};

class RocksDbPlace final : public Place {
 public:
  KvEnginePtr Open() override {
    auto engine = OpenRocksDbKvEngine(directory_, {JournalFamily()});
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }
  // The end of the log is gone, as after a power loss in the middle of a write: nobody was told
  // that it is there, so no mark says so.
  void TearLog(uint64_t bytes) {
    std::filesystem::remove(directory_ / AcknowledgedMark::kFileName);
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (entry.path().extension() != ".log" || entry.file_size() < bytes) continue;
      std::filesystem::resize_file(entry.path(), entry.file_size() - bytes);
    }
  }

 private:
  const TemporaryDirectory place_;
  const std::filesystem::path directory_ = place_.path();
};

absl::Status Append(Journal& journal, JournalRecord record) {
  auto done = std::make_shared<Eventually<absl::Status>>();
  journal.Append(std::move(record), [done](absl::Status status) { done->Set(std::move(status)); });
  return done->Get();
}

absl::StatusOr<TreeImage> Load(Journal& journal) {
  auto done = std::make_shared<Eventually<absl::StatusOr<TreeImage>>>();
  journal.Load([done](absl::StatusOr<TreeImage> image) { done->Set(std::move(image)); });
  return done->Get();
}

class KvJournalTest : public testing::TestWithParam<std::function<std::unique_ptr<Place>()>> {
 protected:
  // Another process opens it.
  absl::StatusOr<TreeImage> Reload() {
    engine_ = nullptr;
    engine_ = place_->Open();
    return Load(*NewKvJournal(engine_));
  }

  const std::unique_ptr<Place> place_ = GetParam()();
  KvEnginePtr engine_ = place_->Open();
};

TEST_P(KvJournalTest, AnEmptyOneIsAnEmptyTree) {
  const auto image = Reload();
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_TRUE(image->nodes.empty());
  EXPECT_EQ(image->last_zxid, 0);
}

TEST_P(KvJournalTest, TheLatestOfEachNodeIsLoadedInTheOrderOfThePaths) {
  {
    const auto journal = NewKvJournal(engine_);
    const std::string large(200'000, 'x');
    ASSERT_TRUE(Append(*journal, {{{"/a", Node("1")}, {"/a/b", Node(large, 0, 2)}}, 2}).ok());
    ASSERT_TRUE(
        Append(*journal, {{{"/a-b", Node("")}, {"/a", Node("2", 1)}, {"/gone", Node("")}}, 3})
            .ok());
    ASSERT_TRUE(Append(*journal, {{{"/gone", std::nullopt}, {"/a", Node("3", 2)}}, 7}).ok());
  }
  const auto image = Reload();
  ASSERT_TRUE(image.ok()) << image.status();
  ASSERT_EQ(image->nodes.size(), 3u);
  EXPECT_EQ(image->nodes[0].first, "/a");
  EXPECT_EQ(image->nodes[0].second.data, "3");
  EXPECT_EQ(image->nodes[0].second.stat.version, 2);
  EXPECT_EQ(image->nodes[1].first, "/a-b");
  EXPECT_EQ(image->nodes[2].first, "/a/b");
  EXPECT_EQ(image->nodes[2].second.data.size(), 200'000u);
  EXPECT_EQ(image->nodes[2].second.stat.created_zxid, 2);
  EXPECT_EQ(image->last_zxid, 7);
}

TEST_P(KvJournalTest, OfANodeThatIsNamedTwiceTheLaterHolds) {
  const auto journal = NewKvJournal(engine_);
  ASSERT_TRUE(
      Append(*journal, {{{"/a", Node("1")}, {"/a", std::nullopt}, {"/a", Node("2")}}, 1}).ok());
  const auto image = Load(*journal);
  ASSERT_EQ(image->nodes.size(), 1u);
  EXPECT_EQ(image->nodes[0].second.data, "2");
}

INSTANTIATE_TEST_SUITE_P(Fake, KvJournalTest,
                         testing::Values([] { return std::make_unique<FakePlace>(); }));
INSTANTIATE_TEST_SUITE_P(RocksDb, KvJournalTest,
                         testing::Values([] { return std::make_unique<RocksDbPlace>(); }));

TEST(RocksDbJournalTest, ATornLastRecordIsNotThereAndTheOthersAre) {
  RocksDbPlace place;
  {
    const auto engine = place.Open();
    const auto journal = NewKvJournal(engine);
    ASSERT_TRUE(Append(*journal, {{{"/a", Node("1")}, {"/b", Node("1")}}, 1}).ok());
    ASSERT_TRUE(Append(*journal, {{{"/a", Node("2", 1)}, {"/b", Node("2", 1)}}, 2}).ok());
  }
  place.TearLog(5);
  const auto engine = place.Open();
  const auto image = Load(*NewKvJournal(engine));
  ASSERT_TRUE(image.ok()) << image.status();
  ASSERT_EQ(image->nodes.size(), 2u);
  // All of it or nothing.
  EXPECT_EQ(image->nodes[0].second.data, "1");
  EXPECT_EQ(image->nodes[1].second.data, "1");
  EXPECT_EQ(image->last_zxid, 1);
}

}  // namespace
}  // namespace baton
