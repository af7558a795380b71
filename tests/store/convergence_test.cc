#include "store/convergence.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "store/record_folder.h"
#include "store/tree_reading.h"
#include "tests/store/standby_fixture.h"

namespace baton {
namespace {

using Code = absl::StatusCode;
using ConvergenceTest = StandbyFixture;

constexpr auto kRound = std::chrono::seconds(2);

TEST_F(ConvergenceTest, AStandbyPullsWhatItMisses) {
  std::vector<std::string> digests;
  for (int i = 0; i < 20; ++i) digests.push_back(Add(Id(i), std::to_string(i))->graph_digest());
  Link();
  convergence_->Start();
  scheduler_.AdvanceBy(kRound);
  for (const auto& digest : digests) EXPECT_TRUE(StandbyHolds(digest));
  scheduler_.AdvanceBy(kRound);
  EXPECT_EQ(Metric("baton_store_live_blobs"), 20);
  EXPECT_EQ(Metric("baton_store_missing_blobs"), 0);
}

TEST_F(ConvergenceTest, WhatNobodyCanGiveIsCountedUntilItComes) {
  const std::string digest = Add(Id(1))->graph_digest();
  convergence_->Start();
  scheduler_.AdvanceBy(kRound);
  EXPECT_EQ(Metric("baton_store_missing_blobs"), 1);
  Link();
  scheduler_.AdvanceBy(std::chrono::minutes(1));
  EXPECT_EQ(Metric("baton_store_missing_blobs"), 0);
  EXPECT_TRUE(StandbyHolds(digest));
}

TEST_F(ConvergenceTest, ALostDiskRefillsItself) {
  const std::string graph = Add(Id(1))->graph_digest();
  ASSERT_TRUE(Add(Id(2)).ok());
  ASSERT_TRUE(Commit(Id(2), ResultNow(), "an archive").ok());
  Link();
  convergence_->Start();
  scheduler_.AdvanceBy(kRound);
  ASSERT_TRUE(StandbyHolds(graph));
  StopStandby();
  standby_disk_->Erase();
  StartStandby();
  Link();
  convergence_->Start();
  scheduler_.AdvanceBy(kRound);
  EXPECT_TRUE(StandbyHolds(graph));
  EXPECT_TRUE(standby_disk_->Has("archived-execution", Sha256Hex("an archive")));
}

TEST_F(ConvergenceTest, ACopyThatRotsIsMendedWithoutBeingAskedFor) {
  const std::string digest = Add(Id(1))->graph_digest();
  Link();
  convergence_->Start();
  scheduler_.AdvanceBy(kRound);
  standby_disk_->FlipBit("job-graph", digest);
  scheduler_.AdvanceBy(std::chrono::minutes(2));
  const auto read = Run<absl::StatusOr<std::string>>(
      [&](auto done) { standby_local_->Get(BlobKind::kJobGraph, digest, std::move(done)); });
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(ConvergenceTest, PullsKeepToTheirRate) {
  options_.pulled_bytes_per_second = 1 << 20;
  StopStandby();
  StartStandby();
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(Add(Id(i), std::to_string(i) + std::string(1 << 20, 'x')).ok());
  }
  Link();
  convergence_->Start();
  scheduler_.AdvanceBy(std::chrono::seconds(5));
  EXPECT_GE(Metric("baton_store_missing_blobs"), 3);
  scheduler_.AdvanceBy(std::chrono::seconds(20));
  EXPECT_EQ(Metric("baton_store_missing_blobs"), 0);
}

// ---- what the journal believes

class TreeReadingTest : public StandbyFixture {
 protected:
  absl::Status Read() {
    return Run<absl::Status>(
        [&](auto done) { ReadTree(standby_client_, paths_, journal_, std::move(done)); });
  }
  void Delete(const std::string& path) {
    const auto status =
        Run<absl::Status>([&](auto done) { other_->Delete(path, kAnyVersion, std::move(done)); });
    ASSERT_TRUE(status.ok()) << path << status;
  }
  std::string Pointer(int i) { return paths_.job(Id(i)); }
};

TEST_F(TreeReadingTest, JobsComeEndAndGo) {
  auto pointer = *Add(Id(1));
  ASSERT_TRUE(Add(Id(2)).ok());
  ASSERT_TRUE(Read().ok());
  EXPECT_TRUE(journal_->Knows(Pointer(1)));
  ASSERT_TRUE(Commit(Id(1), ResultNow(), "archive").ok());
  ASSERT_TRUE(Read().ok());
  EXPECT_FALSE(journal_->Knows(Pointer(1)));
  EXPECT_TRUE(journal_->Knows(paths_.result(Id(1))));
  EXPECT_TRUE(journal_->Knows(Pointer(2)));
  EXPECT_TRUE(
      journal_->live_blobs().contains({BlobKind::kArchivedExecution, Sha256Hex("archive")}));
  EXPECT_EQ(journal_->highest_epoch(), Epoch{1});
}

TEST_F(TreeReadingTest, ItIsThereAfterARestart) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Read().ok());
  Settle();
  StopStandby();
  StartStandby();
  EXPECT_TRUE(journal_->Knows(Pointer(1)));
  EXPECT_EQ(journal_->highest_epoch(), Epoch{1});
  EXPECT_FALSE(journal_->live_blobs().empty());
}

TEST_F(TreeReadingTest, TheJournalOfAnotherClusterCountsForNothing) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Read().ok());
  Settle();
  const auto load = [&](const CoordinationPaths& paths) {
    auto journal = std::make_shared<RecordJournal>(
        std::make_shared<FakeKvEngine>(standby_disk_, standby_executor_, Families()),
        standby_executor_, paths);
    EXPECT_TRUE(Run<absl::Status>([&](auto done) { journal->Load(std::move(done)); }).ok());
    Settle();
    return journal;
  };
  EXPECT_EQ(load(paths_)->size(), 1u);
  const auto other = load(CoordinationPaths("/baton", "other"));
  EXPECT_EQ(other->size(), 0u);
  EXPECT_EQ(other->highest_epoch(), Epoch{});
}

TEST_F(TreeReadingTest, ATreeThatWasSetBackEmptiesNoJournal) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Read().ok());
  Delete(Pointer(1));
  pb::LeaderRecord record;  // epoch 0
  OverwriteEpoch(record);
  EXPECT_EQ(Read().code(), Code::kFailedPrecondition);
  Delete(paths_.epoch());
  EXPECT_EQ(Read().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(journal_->Knows(Pointer(1)));
}

TEST_F(TreeReadingTest, F16AMissingFolderShowsNothing) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Read().ok());
  Delete(Pointer(1));
  for (const auto& bucket : BucketNames()) Delete(paths_.jobs() + "/" + bucket);
  Delete(paths_.jobs());
  EXPECT_EQ(Read().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(journal_->Knows(Pointer(1)));
}

TEST_F(TreeReadingTest, AnUnreadablePointerReplacesNoReadableOne) {
  const std::string digest = Add(Id(1))->graph_digest();
  ASSERT_TRUE(Read().ok());
  Overwrite(Pointer(1), "\xff\xff garbage");
  ASSERT_TRUE(Read().ok());
  EXPECT_TRUE(journal_->live_blobs().contains({BlobKind::kJobGraph, digest}));
}

TEST_F(TreeReadingTest, WhatTheLeaderCommitsDuringAReadingStays) {
  // The leader of this very process: its commits and the reading meet in one journal.
  const auto mark = journal_->last_mark();
  pb::JobPointer pointer;
  pointer.set_epoch(1);
  pointer.set_sequence(7);
  pointer.set_graph_digest("d");
  journal_->Learn(Pointer(1), pointer.SerializeAsString());
  // The listing began before, and did not show it.
  journal_->ForgetUnlisted(RecordJournal::kJobs, {}, mark);
  EXPECT_TRUE(journal_->Knows(Pointer(1)));
  pointer.set_sequence(6);
  pointer.set_graph_digest("older");
  journal_->Learn(Pointer(1), pointer.SerializeAsString());
  EXPECT_TRUE(journal_->live_blobs().contains({BlobKind::kJobGraph, "d"}));
  journal_->ForgetUnlisted(RecordJournal::kJobs, {}, journal_->last_mark());
  EXPECT_FALSE(journal_->Knows(Pointer(1)));
}

TEST_F(TreeReadingTest, AFullDiskIsCaughtUpWithLater) {
  ASSERT_TRUE(Add(Id(1)).ok());
  standby_disk_->SetFull(true);
  ASSERT_TRUE(Read().ok());
  Settle();
  EXPECT_FALSE(journal_->Knows(Pointer(1)));
  standby_disk_->SetFull(false);
  ASSERT_TRUE(Read().ok());
  Settle();
  StopStandby();
  StartStandby();
  EXPECT_TRUE(journal_->Knows(Pointer(1)));
}

TEST_F(TreeReadingTest, ALeaderJournalsWhatItCommits) {
  auto fence = NewJournalingFence(fence_, journal_);
  auto graphs = NewJobGraphStore(fence, blobs_, pins_);
  const auto added = Run<absl::StatusOr<pb::JobPointer>>(
      [&](auto done) { graphs->Add(Id(5), Graph("x"), {}, std::move(done)); });
  ASSERT_TRUE(added.ok());
  Settle();  // the journal is on another strand
  EXPECT_TRUE(journal_->Knows(Pointer(5)));
  EXPECT_FALSE(journal_->Knows(paths_.result(Id(5)))) << "the guard of a submission is no result";
}

TEST_F(TreeReadingTest, ALeaderJournalsNothingThatWasNotCommitted) {
  auto fence = NewJournalingFence(fence_, journal_);
  const auto status = Run<absl::Status>([&](auto done) {
    fence->Commit({CoordinationOp::Create(Pointer(6), "a pointer"),
                   CoordinationOp::Delete(paths_.result(Id(6)), kAnyVersion)},
                  std::move(done));
  });
  EXPECT_EQ(status.code(), Code::kNotFound);
  Settle();
  EXPECT_FALSE(journal_->Knows(Pointer(6)));
}

// Its executor is busy, or hangs: what waits for it does not grow without end, and nothing that was
// committed is left out.
TEST_F(TreeReadingTest, WhatWaitsForTheJournalIsBounded) {
  auto fence = NewJournalingFence(fence_, journal_, 64'000);
  const auto commit = [&](int i) {
    return Run<absl::Status>([&](auto done) {
      fence->Commit(
          {CoordinationOp::Create("/baton/c/jobs/x" + std::to_string(i), std::string(10'000, 'x'))},
          std::move(done));
    });
  };
  ASSERT_TRUE(commit(0).ok());
  Settle();
  standby_executor_->Pause();
  int taken = 1;
  while (taken < 20 && commit(taken).ok()) ++taken;
  EXPECT_EQ(taken, 7) << "six of 10 kB wait";
  const absl::Status refused = commit(taken);
  EXPECT_EQ(refused.code(), Code::kResourceExhausted) << refused;
  EXPECT_FALSE(Exists("/baton/c/jobs/x" + std::to_string(taken))) << "nothing of it was sent";
  standby_executor_->Resume();
  Settle();
  for (; taken < 30; ++taken) {
    const absl::Status status = commit(taken);
    ASSERT_TRUE(status.ok()) << "there is room again: " << status;
    Settle();
  }
}

// The room of commits that fail is free again, too.
TEST_F(TreeReadingTest, CommitsThatFailTakeNoRoomBeforeTheJournal) {
  auto fence = NewJournalingFence(fence_, journal_, 64'000);
  for (int i = 0; i < 20; ++i) {
    const auto status = Run<absl::Status>([&](auto done) {
      fence->Commit({CoordinationOp::Create("/baton/c/no/such/folder", std::string(10'000, 'x'))},
                    std::move(done));
    });
    EXPECT_EQ(status.code(), Code::kNotFound);
  }
}

}  // namespace
}  // namespace baton
