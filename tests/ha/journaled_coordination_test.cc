// What a journal adds to the embedded coordination service: what was told survives the process,
// whatever the disk does, and nobody ever sees what might not.

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "base/status.h"
#include "ha/embedded_coordination.h"
#include "store/kv_journal.h"
#include "tests/store/fake_kv_engine.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTimeout = seconds(6);

// Writes what it answers with an error all the same, when asked to: written, not synced, and there
// again after a crash.
class GhostJournal final : public Journal {
 public:
  GhostJournal(JournalPtr journal, std::shared_ptr<int> ghosts)
      : journal_(std::move(journal)), ghosts_(std::move(ghosts)) {}

  void Append(JournalRecord record, AppendCallback callback) override {
    const bool is_ghost = *ghosts_ > 0;
    if (is_ghost) --*ghosts_;
    journal_->Append(std::move(record),
                     [is_ghost, callback = std::move(callback)](absl::Status status) mutable {
                       callback(is_ghost ? Internal("the sync failed (EIO)") : std::move(status));
                     });
  }
  void Load(LoadCallback callback) override { journal_->Load(std::move(callback)); }

 private:
  const JournalPtr journal_;
  const std::shared_ptr<int> ghosts_;
};

// One process after the other, each with the service, its disk and two clients.
class JournaledCoordinationTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  static constexpr size_t kClients = 2;
  using Answer = std::shared_ptr<std::optional<absl::Status>>;

  void SetUp() override { StartProcess(); }

  void StartProcess() {
    server_executor_ = scheduler_.NewExecutor("server");
    disk_executor_ = scheduler_.NewExecutor("disk");
    auto engine = std::make_shared<FakeKvEngine>(disk_, disk_executor_,
                                                 std::vector<std::string>{JournalFamily()});
    journal_ = std::make_shared<GhostJournal>(NewKvJournal(engine), ghosts_);
    absl::StatusOr<EmbeddedCoordinationServerPtr> recovered = Unknown("not yet");
    RecoverEmbeddedCoordination(server_executor_, journal_,
                                [&](auto server) { recovered = std::move(server); });
    scheduler_.RunUntilIdle();
    ASSERT_TRUE(recovered.ok()) << recovered.status();
    server_ = *recovered;
    for (size_t i = 0; i < kClients; ++i) {
      client_executors_.push_back(scheduler_.NewExecutor("client"));
      clients_.push_back(NewEmbeddedClient(server_, client_executors_.back(), kTimeout));
      clients_.back()->Start([](SessionEvent) {});
    }
    scheduler_.RunUntilIdle();
  }

  // kill -9: what is not synced is lost.
  void Crash() {
    server_executor_->Kill();
    disk_executor_->Kill();
    for (const auto& executor : client_executors_) executor->Kill();
    clients_.clear();
    client_executors_.clear();
    server_ = nullptr;
    journal_ = nullptr;
  }
  void Restart() {
    Crash();
    StartProcess();
  }

  Answer Multi(size_t client, std::vector<CoordinationOp> ops) {
    auto answer = std::make_shared<std::optional<absl::Status>>();
    clients_[client]->Multi(std::move(ops), [answer](const MultiResult& result) {
      EXPECT_FALSE(answer->has_value());
      *answer = result.status;
    });
    return answer;
  }
  absl::Status MultiNow(std::vector<CoordinationOp> ops) {
    const Answer answer = Multi(0, std::move(ops));
    EXPECT_TRUE(scheduler_.RunUntil([&] { return answer->has_value(); }, kTimeout));
    return answer->value_or(Unknown("no answer"));
  }
  absl::StatusOr<NodeData> GetNow(const std::string& path) {
    absl::StatusOr<NodeData> found = Unknown("no answer");
    bool answered = false;
    clients_[0]->Get(path, nullptr, [&](auto node) {
      found = std::move(node);
      answered = true;
    });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return answered; }, kTimeout));
    return found;
  }
  // What a process that starts now would find.
  absl::StatusOr<NodeData> OnDisk(const std::string& path) {
    const auto journal = NewKvJournal(std::make_shared<FakeKvEngine>(
        disk_, std::make_shared<ImmediateExecutor>(), std::vector<std::string>{JournalFamily()}));
    absl::StatusOr<NodeData> found = NotFound("nothing at {}", path);
    journal->Load([&](absl::StatusOr<TreeImage> image) {
      for (const auto& [at, node] : image->nodes) {
        if (at == path) found = node;
      }
    });
    return found;
  }
  int NumberAt(const absl::StatusOr<NodeData>& node) {
    return node.ok() ? std::stoi(node->data) : -1;
  }

  // Runs what is posted within Post: to look at a disk between two steps of the scheduler.
  class ImmediateExecutor final : public Executor {
   public:
    void Post(Task task) override { task(); }
    TimerId PostAfter(Duration, Task task) override {
      task();
      return kNoTimer;
    }
    void Cancel(TimerId) override {}
    TimePoint Now() const override { return TimePoint(); }
    WallMillis WallNow() const override { return 0; }
    bool RunsInThisThread() const override { return true; }
  };

  ManualScheduler scheduler_{GetParam()};
  const std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
  const std::shared_ptr<int> ghosts_ = std::make_shared<int>(0);
  std::shared_ptr<ManualExecutor> server_executor_;
  std::shared_ptr<ManualExecutor> disk_executor_;
  std::vector<std::shared_ptr<ManualExecutor>> client_executors_;
  JournalPtr journal_;
  EmbeddedCoordinationServerPtr server_;
  std::vector<CoordinationClientPtr> clients_;
};

TEST_P(JournaledCoordinationTest, ARestartFindsPersistentNodesWithTheirVersionsAndNoEphemerals) {
  ASSERT_TRUE(MultiNow({CoordinationOp::Create("/a", "1"), CoordinationOp::Create("/a/b", "2"),
                        CoordinationOp::Create("/gone", ""),
                        CoordinationOp::Create("/a/e", "", NodeKind::kEphemeral)})
                  .ok());
  ASSERT_TRUE(MultiNow({CoordinationOp::Set("/a", "3", 0), CoordinationOp::Set("/a", "4", 1),
                        CoordinationOp::Delete("/gone", kAnyVersion)})
                  .ok());
  const int64_t zxid = GetNow("/a/b")->stat.created_zxid;
  Restart();
  EXPECT_EQ(GetNow("/a")->data, "4");
  EXPECT_EQ(GetNow("/a")->stat.version, 2);
  EXPECT_EQ(GetNow("/a/b")->data, "2");
  EXPECT_EQ(GetNow("/a/b")->stat.created_zxid, zxid);
  EXPECT_TRUE(absl::IsNotFound(GetNow("/a/e").status()));
  EXPECT_TRUE(absl::IsNotFound(GetNow("/gone").status()));
  // The numbering goes on.
  ASSERT_TRUE(
      MultiNow({CoordinationOp::Set("/a", "5", 2), CoordinationOp::Create("/new", "")}).ok());
  EXPECT_GT(GetNow("/new")->stat.created_zxid, zxid);
}

TEST_P(JournaledCoordinationTest, ChangesThatWaitTogetherShareASync) {
  std::vector<Answer> answers;
  for (int i = 0; i < 100; ++i) {
    answers.push_back(Multi(0, {CoordinationOp::Create("/n" + std::to_string(i), "")}));
  }
  const size_t before = disk_->syncs();
  ASSERT_TRUE(scheduler_.RunUntil([&] { return answers.back()->has_value(); }, kTimeout));
  for (const Answer& answer : answers) EXPECT_TRUE((*answer)->ok());
  EXPECT_LE(disk_->syncs() - before, 3u);
}

// What is read at a start is as large as the tree, whatever happened before (L5).
TEST_P(JournaledCoordinationTest, HistoryIsNotKept) {
  ASSERT_TRUE(MultiNow({CoordinationOp::Create("/stays", "0")}).ok());
  const size_t before = disk_->size();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(MultiNow({CoordinationOp::Create("/goes", "x"),
                          CoordinationOp::Set("/stays", std::to_string(i), kAnyVersion)})
                    .ok());
    ASSERT_TRUE(MultiNow({CoordinationOp::Delete("/goes", 0)}).ok());
  }
  EXPECT_EQ(disk_->size(), before);
  Restart();
  EXPECT_EQ(GetNow("/stays")->stat.version, 200);
}

TEST_P(JournaledCoordinationTest, AFullDiskRefusesChangesAndNothingElse) {
  ASSERT_TRUE(MultiNow({CoordinationOp::Create("/a", "1")}).ok());
  disk_->SetFull(true);
  // One group, in which only some need the disk.
  const Answer set = Multi(0, {CoordinationOp::Set("/a", "2", 0)});
  const Answer check = Multi(1, {CoordinationOp::Check("/a", 0)});
  const Answer create = Multi(0, {CoordinationOp::Create("/b", "")});
  const Answer ephemeral = Multi(1, {CoordinationOp::Create("/e", "", NodeKind::kEphemeral)});
  const Answer second = Multi(0, {CoordinationOp::Set("/a", "3", 1)});
  for (const Answer& answer : {set, check, create, ephemeral, second}) {
    ASSERT_TRUE(scheduler_.RunUntil([&] { return answer->has_value(); }, kTimeout));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(**set)) << **set;
  EXPECT_TRUE((*check)->ok()) << **check;
  EXPECT_TRUE(absl::IsResourceExhausted(**create)) << **create;
  EXPECT_TRUE((*ephemeral)->ok()) << **ephemeral;
  // What it was built on never was.
  EXPECT_TRUE(absl::IsFailedPrecondition(**second)) << **second;
  EXPECT_EQ(GetNow("/a")->data, "1");
  EXPECT_TRUE(absl::IsNotFound(GetNow("/b").status()));
  disk_->SetFull(false);
  EXPECT_TRUE(MultiNow({CoordinationOp::Set("/a", "2", 0)}).ok());
  Restart();
  EXPECT_EQ(GetNow("/a")->data, "2");
}

TEST_P(JournaledCoordinationTest, WhatAFailedWriteLeftOnDiskIsTakenBackBeforeAnythingIsBuiltOnIt) {
  ASSERT_TRUE(MultiNow({CoordinationOp::Create("/a", "1")}).ok());
  *ghosts_ = 1;
  EXPECT_FALSE(
      MultiNow({CoordinationOp::Set("/a", "2", 0), CoordinationOp::Create("/b", "")}).ok());
  EXPECT_EQ(GetNow("/a")->data, "1");
  ASSERT_TRUE(MultiNow({CoordinationOp::Create("/c", "")}).ok());
  Restart();
  EXPECT_EQ(GetNow("/a")->data, "1");
  EXPECT_EQ(GetNow("/a")->stat.version, 0);
  EXPECT_TRUE(absl::IsNotFound(GetNow("/b").status()));
  EXPECT_TRUE(GetNow("/c").ok());
}

TEST_P(JournaledCoordinationTest, ASessionThatEndsDuringAWriteLeavesNothing) {
  const Answer change = Multi(0, {CoordinationOp::Create("/a", "")});
  const Answer mine = Multi(0, {CoordinationOp::Create("/e", "", NodeKind::kEphemeral)});
  scheduler_.RunUntilIdle();
  ASSERT_FALSE(change->has_value());
  clients_[0]->Close();
  scheduler_.AdvanceBy(seconds(1));
  bool gone = false;
  clients_[1]->Get("/e", nullptr, [&](auto node) { gone = absl::IsNotFound(node.status()); });
  EXPECT_TRUE(scheduler_.RunUntil([&] { return gone; }, kTimeout));
  EXPECT_TRUE(OnDisk("/a").ok());
}

TEST_P(JournaledCoordinationTest, OneUnreadableNodeTakesNoOtherWithIt) {
  ASSERT_TRUE(
      MultiNow({CoordinationOp::Create("/a", "1"), CoordinationOp::Create("/a/b", "2")}).ok());
  Crash();
  auto engine = std::make_shared<FakeKvEngine>(disk_, std::make_shared<ImmediateExecutor>(),
                                               std::vector<std::string>{JournalFamily()});
  engine->Write({{JournalFamily(), "/a", "\xff not a node"}}, [](absl::Status) {});
  StartProcess();
  EXPECT_EQ(GetNow("/a")->data, "");
  EXPECT_EQ(GetNow("/a/b")->data, "2");
}

// Clients write pairs of numbers that only grow, the disk fills up and fails in between, and the
// process dies again and again. Judged from outside: what is answered or read is on disk at that
// instant, what was answered is there after every restart, and the two of a pair are always equal.
class JournalChaosTest : public JournaledCoordinationTest {
 protected:
  static constexpr int kPairs = 4;

  std::string Left(int pair) { return "/left" + std::to_string(pair); }
  std::string Right(int pair) { return "/right" + std::to_string(pair); }

  void SetUp() override {
    JournaledCoordinationTest::SetUp();
    std::vector<CoordinationOp> ops;
    for (int pair = 0; pair < kPairs; ++pair) {
      ops.push_back(CoordinationOp::Create(Left(pair), "0"));
      ops.push_back(CoordinationOp::Create(Right(pair), "0"));
    }
    ASSERT_TRUE(MultiNow(ops).ok());
  }

  void WriteNext(int pair) {
    const int number = ++last_written_[pair];
    const std::string text = std::to_string(number);
    clients_[static_cast<size_t>(pair) % kClients]->Multi(
        {CoordinationOp::Set(Left(pair), text, kAnyVersion),
         CoordinationOp::Set(Right(pair), text, kAnyVersion)},
        [this, pair, number](const MultiResult& result) {
          if (!result.status.ok()) return;
          EXPECT_GE(NumberAt(OnDisk(Left(pair))), number) << "answered, and not on disk";
          acknowledged_[pair] = std::max(acknowledged_[pair], number);
        });
  }

  void ReadOne(int pair, size_t client) {
    clients_[client]->Get(
        Right(pair), [this, pair] { EXPECT_GE(NumberAt(OnDisk(Right(pair))), 0); },
        [this, pair, acknowledged = acknowledged_[pair]](const absl::StatusOr<NodeData>& node) {
          if (!node.ok()) return;
          EXPECT_GE(NumberAt(OnDisk(Right(pair))), NumberAt(node)) << "seen, and not on disk";
          EXPECT_GE(NumberAt(node), acknowledged);
        });
  }

  void ExpectAllThere() {
    for (int pair = 0; pair < kPairs; ++pair) {
      const int left = NumberAt(GetNow(Left(pair)));
      EXPECT_EQ(left, NumberAt(GetNow(Right(pair))));
      EXPECT_GE(left, acknowledged_[pair]);
      EXPECT_LE(left, last_written_[pair]);
    }
  }

  std::mt19937_64 random_{GetParam()};
  std::map<int, int> last_written_;
  std::map<int, int> acknowledged_;
};

TEST_P(JournalChaosTest, NothingToldIsLostAndNothingSeenWasNot) {
  for (int life = 0; life < 12; ++life) {
    const int steps = static_cast<int>(random_() % 120);
    for (int step = 0; step < steps; ++step) {
      const int pair = static_cast<int>(random_() % kPairs);
      switch (random_() % 12) {
        case 0:
          disk_->SetFull(random_() % 2 == 0);
          break;
        case 1:
          *ghosts_ = static_cast<int>(random_() % 3);
          break;
        case 2:
        case 3:
        case 4:
          ReadOne(pair, random_() % kClients);
          break;
        case 5:
          scheduler_.AdvanceBy(milliseconds(random_() % 3));
          break;
        case 6:
          for (int i = 0; i < 20; ++i) scheduler_.RunOne();
          break;
        default:
          WriteNext(pair);
      }
    }
    disk_->SetFull(false);
    *ghosts_ = 0;
    Restart();
    if (HasFatalFailure()) return;
    ExpectAllThere();
  }
  for (int pair = 0; pair < kPairs; ++pair) WriteNext(pair);
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_EQ(acknowledged_, last_written_);
}

INSTANTIATE_TEST_SUITE_P(Seeds, JournaledCoordinationTest, ::testing::Range<uint64_t>(1, 9));
INSTANTIATE_TEST_SUITE_P(Seeds, JournalChaosTest, ::testing::Range<uint64_t>(1, 151));

}  // namespace
}  // namespace baton
