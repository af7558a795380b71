// The contract of KvEngine, on the fake and on RocksDB.

#include "store/kv_engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/asio_executor.h"
#include "base/manual_executor.h"
#include "tests/rpc/loopback.h"
#include "tests/store/fake_kv_engine.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

const std::vector<std::string> kFamilies{"one", "two"};

// A place that outlives the engines opened on it.
class Place {
 public:
  virtual ~Place() = default;
  virtual KvEnginePtr Open() = 0;
};

class FakePlace final : public Place {
 public:
  KvEnginePtr Open() override {
    return std::make_shared<FakeKvEngine>(disk_, pool_.NewExecutor(), kFamilies);
  }

 private:
  ThreadPool pool_{1};
  std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
};

class RocksDbPlace final : public Place {
 public:
  KvEnginePtr Open() override {
    auto engine = OpenRocksDbKvEngine(directory_, kFamilies);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }
  const std::filesystem::path& directory() const { return directory_; }

 private:
  const TemporaryDirectory place_;
  const std::filesystem::path directory_ = place_.path();
};

absl::Status Write(KvEngine& engine, std::vector<KvWrite> writes) {
  auto done = std::make_shared<Eventually<absl::Status>>();
  engine.Write(std::move(writes), [done](absl::Status status) { done->Set(std::move(status)); });
  return done->Get();
}

absl::StatusOr<std::optional<std::string>> Get(KvEngine& engine, std::string family,
                                               std::string key) {
  auto done = std::make_shared<Eventually<absl::StatusOr<std::optional<std::string>>>>();
  engine.Get(std::move(family), std::move(key), [done](auto got) { done->Set(std::move(got)); });
  return done->Get();
}

absl::StatusOr<std::vector<std::string>> Keys(KvEngine& engine, std::string family,
                                              std::string prefix) {
  auto done = std::make_shared<Eventually<absl::StatusOr<std::vector<std::string>>>>();
  engine.Keys(std::move(family), std::move(prefix),
              [done](auto keys) { done->Set(std::move(keys)); });
  return done->Get();
}

absl::StatusOr<std::vector<KvEntry>> Scan(KvEngine& engine, std::string family, std::string after,
                                          size_t limit) {
  auto done = std::make_shared<Eventually<absl::StatusOr<std::vector<KvEntry>>>>();
  engine.Scan(std::move(family), std::move(after), limit,
              [done](auto entries) { done->Set(std::move(entries)); });
  return done->Get();
}

class KvEngineTest : public testing::TestWithParam<std::function<std::unique_ptr<Place>()>> {
 protected:
  std::unique_ptr<Place> place_ = GetParam()();
};

TEST_P(KvEngineTest, WhatIsWrittenIsRead) {
  auto engine = place_->Open();
  const std::string large(100'000, 'x');
  ASSERT_TRUE(Write(*engine, {{"one", "a", "1"}, {"two", "a", large}, {"one", "e", ""}}).ok());
  EXPECT_EQ(Get(*engine, "one", "a")->value(), "1");
  EXPECT_EQ(Get(*engine, "two", "a")->value(), large);
  EXPECT_EQ(Get(*engine, "one", "e")->value(), "");
  EXPECT_FALSE(Get(*engine, "one", "b")->has_value());
}

TEST(RocksDbKvEngineTest, StopAnswersWhatIsUnderWayAndRefusesWhatComesLater) {
  RocksDbPlace place;
  auto engine = place.Open();
  std::atomic<int> written = 0, read = 0;
  for (int i = 0; i < 200; ++i) {
    engine->Write({{"one", std::to_string(i), std::string(1'000, 'x')}},
                  [&](const absl::Status& status) { written += status.ok(); });
    engine->Get("one", "0", [&](const auto& got) { read += got.ok(); });
  }
  engine->Stop();
  EXPECT_EQ(written, 200);
  EXPECT_EQ(read, 200);
  EXPECT_TRUE(absl::IsUnavailable(Write(*engine, {{"one", "late", "1"}})));
  EXPECT_TRUE(absl::IsUnavailable(Get(*engine, "one", "0").status()));
  EXPECT_TRUE(absl::IsUnavailable(Keys(*engine, "one", "").status()));
  EXPECT_TRUE(absl::IsUnavailable(Scan(*engine, "one", "", 1).status()));
  engine->Stop();
  engine = nullptr;
  engine = place.Open();
  EXPECT_EQ(Keys(*engine, "one", "")->size(), 200u);
}

TEST_P(KvEngineTest, ADeletionIsAWrite) {
  auto engine = place_->Open();
  ASSERT_TRUE(Write(*engine, {{"one", "a", "1"}, {"one", "b", "2"}}).ok());
  ASSERT_TRUE(Write(*engine, {{"one", "a", std::nullopt}, {"one", "none", std::nullopt}}).ok());
  EXPECT_FALSE(Get(*engine, "one", "a")->has_value());
  EXPECT_EQ(Get(*engine, "one", "b")->value(), "2");
}

TEST_P(KvEngineTest, KeysAreThoseOfTheFamilyWithThePrefixSorted) {
  auto engine = place_->Open();
  ASSERT_TRUE(Write(*engine, {{"one", "b2", "x"},
                              {"one", "b1", std::string(50'000, 'y')},
                              {"one", "a", "x"},
                              {"one", "c", "x"},
                              {"two", "b3", "x"}})
                  .ok());
  EXPECT_EQ(*Keys(*engine, "one", "b"), (std::vector<std::string>{"b1", "b2"}));
  EXPECT_EQ(*Keys(*engine, "one", ""), (std::vector<std::string>{"a", "b1", "b2", "c"}));
  EXPECT_TRUE(Keys(*engine, "one", "zzz")->empty());
}

TEST_P(KvEngineTest, PagesOfAFamilyFollowOneAnother) {
  auto engine = place_->Open();
  ASSERT_TRUE(Write(*engine, {{"one", "a", "1"},
                              {"one", "b", std::string(50'000, 'y')},
                              {"one", "c", "3"},
                              {"two", "d", "4"}})
                  .ok());
  const auto first = *Scan(*engine, "one", "", 2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].key, "a");
  EXPECT_EQ(first[1].value, std::string(50'000, 'y'));
  const auto second = *Scan(*engine, "one", "b", 2);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].key, "c");
  EXPECT_EQ(second[0].value, "3");
  EXPECT_TRUE(Scan(*engine, "one", "c", 2)->empty());
  EXPECT_EQ(Scan(*engine, "three", "", 2).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(KvEngineTest, AnUnknownFamilyIsAnErrorAndWritesNothing) {
  auto engine = place_->Open();
  const auto status = Write(*engine, {{"one", "a", "1"}, {"three", "a", "1"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(Get(*engine, "one", "a")->has_value());
  EXPECT_EQ(Get(*engine, "three", "a").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Keys(*engine, "three", "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Write(*engine, {{"one", "a", "1"}}).ok());
}

TEST_P(KvEngineTest, WhatWasAnsweredIsThereAfterReopening) {
  auto engine = place_->Open();
  const std::string large(1'000'000, 'x');
  ASSERT_TRUE(Write(*engine, {{"one", "a", "1"}, {"two", "large", large}}).ok());
  ASSERT_TRUE(Write(*engine, {{"one", "a", "2"}}).ok());
  engine.reset();
  engine = place_->Open();
  EXPECT_EQ(Get(*engine, "one", "a")->value(), "2");
  EXPECT_EQ(Get(*engine, "two", "large")->value(), large);
}

TEST_P(KvEngineTest, ManyWritesAtOnceAreAllAnswered) {
  auto engine = place_->Open();
  constexpr int kWrites = 500;
  std::atomic<int> left = kWrites, failed = 0;
  Eventually<bool> all;
  for (int i = 0; i < kWrites; ++i) {
    engine->Write({{"one", std::to_string(i), std::to_string(i)}}, [&](absl::Status status) {
      if (!status.ok()) ++failed;
      if (--left == 0) all.Set(true);
    });
  }
  all.Wait();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(Keys(*engine, "one", "")->size(), static_cast<size_t>(kWrites));
}

INSTANTIATE_TEST_SUITE_P(Fake, KvEngineTest,
                         testing::Values([] { return std::make_unique<FakePlace>(); }));
INSTANTIATE_TEST_SUITE_P(RocksDb, KvEngineTest,
                         testing::Values([] { return std::make_unique<RocksDbPlace>(); }));

TEST(RocksDbKvEngineTest, TheDestructorAnswersEverything) {
  RocksDbPlace place;
  constexpr int kCalls = 200;
  std::atomic<int> answered = 0;
  auto engine = place.Open();
  for (int i = 0; i < kCalls; ++i) {
    engine->Write({{"one", std::to_string(i), std::string(10'000, 'x')}},
                  [&](absl::Status) { ++answered; });
    engine->Get("one", std::to_string(i), [&](auto) { ++answered; });
  }
  engine.reset();
  EXPECT_EQ(answered, 2 * kCalls);
}

TEST(RocksDbKvEngineTest, FamiliesOfALaterVersionDoNotHinderOpening) {
  RocksDbPlace place;
  ASSERT_TRUE(OpenRocksDbKvEngine(place.directory(), {"one", "two", "later"}).ok());
  auto engine = place.Open();
  EXPECT_TRUE(Write(*engine, {{"one", "a", "1"}}).ok());
}

TEST(RocksDbKvEngineTest, ADirectoryHasOneOwner) {
  RocksDbPlace place;
  auto engine = place.Open();
  EXPECT_FALSE(OpenRocksDbKvEngine(place.directory(), kFamilies).ok());
}

TEST(RocksDbKvEngineTest, AFlippedBitInTheLogIsNotSilentlyForgotten) {
  RocksDbPlace place;
  auto engine = place.Open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Write(*engine, {{"one", std::to_string(i), std::string(1000, 'x')}}).ok());
  }
  engine.reset();
  int damaged = 0;
  for (const auto& entry : std::filesystem::directory_iterator(place.directory())) {
    if (entry.path().extension() != ".log" || entry.file_size() < 10'000) continue;
    std::fstream log(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    log.seekp(5'000);
    log.put('\x7f');
    ++damaged;
  }
  ASSERT_EQ(damaged, 1);
  const auto opened = OpenRocksDbKvEngine(place.directory(), kFamilies);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss) << opened.status();
}

TEST(FakeKvEngineTest, WhatWasNotSyncedIsLostAtACrash) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("victim");
  auto disk = std::make_shared<FakeDisk>();
  auto engine = std::make_shared<FakeKvEngine>(disk, executor, kFamilies);
  bool answered = false;
  engine->Write({{"one", "a", "1"}}, [&](absl::Status) { answered = true; });
  scheduler.RunUntilIdle();
  executor->Kill();
  scheduler.AdvanceBy(std::chrono::seconds(1));
  EXPECT_FALSE(answered);
  EXPECT_FALSE(disk->Has("one", "a"));
}

}  // namespace
}  // namespace baton
