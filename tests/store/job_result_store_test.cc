#include "store/job_result_store.h"

#include <gtest/gtest.h>

#include "store/result_history.h"
#include "tests/ha/spy_client.h"
#include "tests/store/leader_fixture.h"

namespace baton {
namespace {

using Code = absl::StatusCode;
using Lost = EmbeddedCoordinationServer::LostAnswer;
using std::chrono::hours;

class JobResultStoreTest : public LeaderFixture {
 protected:
  JobResultStoreTest() { Prepare(); }

  void AddAndCommit(int i) {
    ASSERT_TRUE(Add(Id(i)).ok());
    ASSERT_TRUE(Commit(Id(i), ResultNow()).ok());
  }

  void LeadAgain() {
    const auto version = Node("/baton/c/epoch")->stat.version;
    Overwrite("/baton/c/epoch", "next");
    Lead(fence_->epoch().Next(), version + 1);
  }
};

TEST_F(JobResultStoreTest, AnEndMovesTheJobInOneStep) {
  ASSERT_TRUE(Add(Id(1)).ok());
  // Whoever looks sees the pointer or, from then on, the result; never both.
  bool moved = false;
  results_->Commit(Id(1), ResultNow("CANCELED"), "", [&](absl::Status status) {
    EXPECT_TRUE(status.ok()) << status;
    moved = true;
  });
  while (!moved) {
    const bool pending = Exists(paths_.job(Id(1)));
    const bool ended = Exists(paths_.result(Id(1)));
    EXPECT_TRUE(pending || ended);
    if (ended) {
      EXPECT_FALSE(Exists(paths_.job(Id(1))));
    }
    scheduler_.RunOne();
  }
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
  const auto found = Find(Id(1));
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->outcome(), "CANCELED");
  EXPECT_EQ((*found)->epoch(), 1u);
}

TEST_F(JobResultStoreTest, TheSameEndAgainIsNoError) {
  AddAndCommit(1);
  EXPECT_TRUE(Commit(Id(1), ResultNow()).ok());
  LeadAgain();
  EXPECT_TRUE(Commit(Id(1), ResultNow()).ok()) << "also where nothing is at hand";
}

// Somebody deleted it: the job must not stay alive for ever.
TEST_F(JobResultStoreTest, AJobWhosePointerIsGoneStillEnds) {
  EXPECT_TRUE(Commit(Id(1), ResultNow()).ok());
  EXPECT_TRUE(Exists(paths_.result(Id(1))));
  EXPECT_TRUE(Find(Id(1))->has_value());
}

TEST_F(JobResultStoreTest, ALostAnswerIsResolved) {
  for (const auto& [i, lost] : {std::pair(1, Lost::kApplied), std::pair(2, Lost::kNotApplied)}) {
    ASSERT_TRUE(Add(Id(i)).ok());
    server_->DropNextAnswer(client_, lost);
    EXPECT_TRUE(Commit(Id(i), ResultNow()).ok());
    EXPECT_FALSE(Exists(paths_.job(Id(i))));
    EXPECT_TRUE(Exists(paths_.result(Id(i))));
  }
}

TEST_F(JobResultStoreTest, FindReadsThroughBeforeTheHistoryIsLoaded) {
  AddAndCommit(1);
  LeadAgain();
  EXPECT_TRUE(Find(Id(1))->has_value());
  EXPECT_FALSE(Find(Id(2))->has_value());
}

// The service answers a session in order: a submission would stand behind all of them.
TEST_F(JobResultStoreTest, TheHistoryIsReadAFewAtATime) {
  constexpr int kResults = 60;
  for (int i = 1; i <= kResults; ++i) AddAndCommit(i);
  LeadAgain();
  const auto spy = std::make_shared<SpyClient>(client_);
  const auto fence =
      NewManagedFence({spy, executor_, paths_, FenceLimits{}, [](const absl::Status&) {}},
                      {fence_->epoch(), Node("/baton/c/epoch")->stat.version, executor_->Now()});
  results_ = NewJobResultStore(fence, blobs_, pins_, executor_, {});
  EXPECT_TRUE(LoadHistory().ok());
  EXPECT_EQ(ListResults().size(), static_cast<size_t>(kResults));
  EXPECT_GT(spy->most_reads, 1u);
  EXPECT_LE(spy->most_reads, 16u);
  results_.reset();
  fence->Close(Aborted("end of test"));
  Settle();
}

TEST_F(JobResultStoreTest, FindOfAnEndUnderWayWaitsForIt) {
  ASSERT_TRUE(LoadHistory().ok());
  ASSERT_TRUE(Add(Id(1)).ok());
  std::optional<absl::Status> committed;
  results_->Commit(Id(1), ResultNow(), "an archive", [&](absl::Status s) { committed = s; });
  const auto found = Find(Id(1));
  EXPECT_TRUE(committed.has_value());
  EXPECT_TRUE(found.ok() && found->has_value());
}

TEST_F(JobResultStoreTest, TheArchiveIsKeptAndLoaded) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Commit(Id(1), ResultNow(), "the archive").ok());
  LeadAgain();
  const auto result = **Find(Id(1));
  const auto archive = Run<absl::StatusOr<std::string>>(
      [&](auto done) { results_->LoadArchive(result, std::move(done)); });
  EXPECT_EQ(*archive, "the archive");
  EXPECT_EQ(Run<absl::StatusOr<std::string>>(
                [&](auto done) { results_->LoadArchive(pb::JobResult(), std::move(done)); })
                .status()
                .code(),
            Code::kNotFound);
}

TEST_F(JobResultStoreTest, AFullDiskDoesNotKeepAFinishedJobAlive) {
  ASSERT_TRUE(Add(Id(1)).ok());
  disk_->SetFull(true);
  ASSERT_TRUE(Commit(Id(1), ResultNow(), "the archive").ok());
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
  EXPECT_EQ((**Find(Id(1))).archive_digest(), "");
}

TEST_F(JobResultStoreTest, WildBytesInACauseDoNotMakeTheResultUnreadable) {
  ASSERT_TRUE(Add(Id(1)).ok());
  auto result = ResultNow("FAILED");
  result.set_failure_cause("\xfe\xff" + std::string(2'000'000, 'x'));
  ASSERT_TRUE(Commit(Id(1), result).ok());
  LeadAgain();
  const auto found = Find(Id(1));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE((*found)->failure_cause().starts_with("??xxx"));
}

TEST_F(JobResultStoreTest, TheHistoryIsLoadedOldestFirst) {
  for (int i = 1; i <= 5; ++i) {
    AddAndCommit(i);
    scheduler_.AdvanceBy(std::chrono::seconds(1));
  }
  LeadAgain();
  EXPECT_TRUE(ListResults().empty());
  ASSERT_TRUE(LoadHistory().ok());
  const auto listed = ListResults();
  ASSERT_EQ(listed.size(), 5u);
  for (size_t i = 1; i < 5; ++i) EXPECT_LT(listed[i - 1].ended_at_ms(), listed[i].ended_at_ms());
  EXPECT_FALSE(Find(Id(6))->has_value());
}

TEST_F(JobResultStoreTest, AnUnreadableResultIsNeverTakenForNone) {
  AddAndCommit(1);
  AddAndCommit(2);
  Overwrite(paths_.result(Id(1)), "");
  LeadAgain();
  ASSERT_TRUE(LoadHistory().ok());
  EXPECT_EQ(Find(Id(1)).status().code(), Code::kDataLoss);
  EXPECT_EQ(ListResults().size(), 1u);
  EXPECT_EQ(Add(Id(1)).status().code(), Code::kAlreadyExists);
}

TEST_F(JobResultStoreTest, TooManyResultsGoOldestFirstButNoYoungOnes) {
  MakeResults({.max_results = 3, .max_age = hours(1000), .min_age = hours(1)});
  ASSERT_TRUE(LoadHistory().ok());
  for (int i = 1; i <= 5; ++i) {
    AddAndCommit(i);
    scheduler_.AdvanceBy(std::chrono::seconds(1));
  }
  EXPECT_EQ(ListResults().size(), 5u) << "all are young";
  EXPECT_TRUE(results_->full());
  scheduler_.AdvanceBy(hours(2));
  EXPECT_FALSE(results_->full());
  EXPECT_EQ(ListResults().size(), 3u);
  EXPECT_FALSE(Exists(paths_.result(Id(1))));
  EXPECT_FALSE(Exists(paths_.result(Id(2))));
  EXPECT_TRUE(Exists(paths_.result(Id(3))));
  EXPECT_FALSE(Find(Id(1))->has_value());
  EXPECT_TRUE(Add(Id(1)).ok()) << "its result is no longer kept";
}

TEST_F(JobResultStoreTest, OldResultsGo) {
  MakeResults({.max_results = 100, .max_age = hours(10), .min_age = hours(1)});
  ASSERT_TRUE(LoadHistory().ok());
  AddAndCommit(1);
  scheduler_.AdvanceBy(hours(9));
  AddAndCommit(2);
  scheduler_.AdvanceBy(hours(2));
  EXPECT_FALSE(Exists(paths_.result(Id(1))));
  EXPECT_TRUE(Exists(paths_.result(Id(2))));
}

TEST_F(JobResultStoreTest, ThousandsOfOldResultsGoInBatches) {
  constexpr int kJobs = 1'700;
  int ended = 0;
  for (int i = 0; i < kJobs; ++i) {
    graphs_->Add(Id(i), Graph("many"), {}, [&, i](auto) {
      results_->Commit(Id(i), ResultNow(), "", [&](absl::Status s) { ended += s.ok(); });
    });
  }
  ASSERT_TRUE(scheduler_.RunUntil([&] { return ended == kJobs; }, std::chrono::seconds(60)));
  LeadAgain();
  MakeResults({.max_results = 100, .max_age = hours(10), .min_age = hours(1)});
  scheduler_.AdvanceBy(hours(5));
  ASSERT_TRUE(LoadHistory().ok());
  scheduler_.AdvanceBy(std::chrono::seconds(30));
  EXPECT_EQ(ListResults().size(), 100u);
}

TEST_F(JobResultStoreTest, EvictionGoesOnAfterAnOutage) {
  MakeResults({.max_results = 100, .max_age = hours(10), .min_age = hours(1)});
  ASSERT_TRUE(LoadHistory().ok());
  AddAndCommit(1);
  server_->Disconnect(client_);
  scheduler_.AdvanceBy(std::chrono::seconds(2));
  server_->Reconnect(client_);
  scheduler_.AdvanceBy(hours(11));
  EXPECT_FALSE(Exists(paths_.result(Id(1))));
}

// Runs on another executor, but its wall clock can be set.
class ExecutorWithAWallClock final : public Executor {
 public:
  explicit ExecutorWithAWallClock(ExecutorPtr inner) : inner_(std::move(inner)) {}
  void Post(Task task) override { inner_->Post(std::move(task)); }
  TimerId PostAfter(Duration delay, Task task) override {
    return inner_->PostAfter(delay, std::move(task));
  }
  void Cancel(TimerId id) override { inner_->Cancel(id); }
  TimePoint Now() const override { return inner_->Now(); }
  WallMillis WallNow() const override { return inner_->WallNow() + ahead_; }
  bool RunsInThisThread() const override { return inner_->RunsInThisThread(); }
  void SetAhead(Duration by) { ahead_ = ToMillis(by); }

 private:
  const ExecutorPtr inner_;
  WallMillis ahead_ = 0;
};

TEST_F(JobResultStoreTest, AClockThatIsSetAMonthAheadEvictsNothing) {
  auto clock = std::make_shared<ExecutorWithAWallClock>(executor_);
  results_ = NewJobResultStore(fence_, blobs_, pins_, clock,
                               {.max_results = 100, .max_age = hours(10), .min_age = hours(1)});
  ASSERT_TRUE(LoadHistory().ok());
  AddAndCommit(1);
  clock->SetAhead(hours(24 * 30));
  scheduler_.AdvanceBy(hours(2));
  EXPECT_TRUE(Exists(paths_.result(Id(1))));
  // Time that passes still counts.
  scheduler_.AdvanceBy(hours(9));
  EXPECT_FALSE(Exists(paths_.result(Id(1))));
}

TEST_F(JobResultStoreTest, ADeposedLeaderEndsNoJob) {
  ASSERT_TRUE(Add(Id(1)).ok());
  Overwrite("/baton/c/epoch", "next");
  EXPECT_EQ(Commit(Id(1), ResultNow()).code(), Code::kAborted);
  EXPECT_TRUE(Exists(paths_.job(Id(1))));
  EXPECT_FALSE(Exists(paths_.result(Id(1))));
}

TEST(ResultHistoryTest, ExpiredIsBoundedAndOldestFirst) {
  ResultHistory history({.max_results = 2, .max_age = hours(10), .min_age = hours(1)});
  const WallMillis hour = ToMillis(hours(1));
  for (int i = 0; i < 6; ++i) {
    pb::JobResult result;
    result.set_ended_at_ms(i * hour);
    history.Add(JobId::FromKey(std::to_string(i)), result);
  }
  const auto id = [](int i) { return JobId::FromKey(std::to_string(i)); };
  EXPECT_EQ(history.Expired(5 * hour, 10), (std::vector<JobId>{id(0), id(1), id(2), id(3)}));
  EXPECT_EQ(history.Expired(5 * hour, 2), (std::vector<JobId>{id(0), id(1)}));
  // Too many, but young: the clock may even stand before their end.
  EXPECT_TRUE(history.Expired(0, 10).empty());
  history.Remove(id(0));
  EXPECT_EQ(history.size(), 5u);
  EXPECT_EQ(history.oldest_end(), hour);
}

}  // namespace
}  // namespace baton
