// The judge of the tree is judged: which copies of a graph a commit may lack (I8), and which not.

#include "tests/simulation/tree_judge.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "base/random.h"

namespace baton {
namespace {

using std::chrono::milliseconds;

class TreeJudgeTest : public testing::Test {
 protected:
  static constexpr char kGraph[] = "a digest";

  TreeJudgeTest() { judge_.DemandCopies(2); }

  void Pass() { scheduler_.AdvanceBy(milliseconds(1)); }
  void Send(const std::string& id_or_name) {
    judge_.OnFirstSent(id_or_name, scheduler_.Now());
    Pass();
  }
  void Write(const char* disk) {
    copies_->OnWritten(disk, kGraph);
    Pass();
  }
  void Lose(const char* disk) {
    copies_->OnLost(disk, kGraph);
    Pass();
  }

  // The invariants that it breaks.
  std::vector<std::string> Commit(const std::string& name = "job") {
    pb::JobPointer pointer;
    pointer.set_graph_digest(kGraph);
    pointer.set_name(name);
    JournalRecord record;
    record.nodes.emplace_back(paths_.job(job_), NodeData{pointer.SerializeAsString(), {}});
    judge_.Append(std::move(record), [](const absl::Status&) {});
    return std::exchange(broken_, {});
  }

  const std::vector<std::string> nothing_;
  const std::vector<std::string> i8_ = {"I8"};
  const CoordinationPaths paths_{"/baton", "judged"};
  const JobId job_ = NewSeededRandom(1)->NewJobId();
  ManualScheduler scheduler_{1};
  const std::shared_ptr<CopyLedger> copies_ =
      std::make_shared<CopyLedger>(scheduler_.NewExecutor("clock"));
  std::vector<std::string> broken_;
  TreeJudge judge_{paths_, copies_, [this](const std::string& invariant, const std::string&) {
                     broken_.push_back(invariant);
                   }};
};

TEST_F(TreeJudgeTest, ACommitNeedsItsCopies) {
  Send(job_.ToString());
  Write("d0");
  EXPECT_EQ(Commit(), i8_);
}

TEST_F(TreeJudgeTest, TwoCopiesAreEnough) {
  Write("d0");
  Write("d1");
  EXPECT_EQ(Commit(), nothing_) << "nobody need have sent it";
}

TEST_F(TreeJudgeTest, OneDiskMayBeLostBetweenTheCopiesAndTheCommit) {
  Send(job_.ToString());
  Write("d0");
  Write("d1");
  Lose("d1");
  EXPECT_EQ(Commit(), nothing_);
  judge_.CheckCopies();
  EXPECT_TRUE(broken_.empty());
}

TEST_F(TreeJudgeTest, AJobWithoutAnIdIsKnownByItsName) {
  Send("posted-1");
  Write("d0");
  Write("d1");
  Lose("d1");
  EXPECT_EQ(Commit("posted-1"), nothing_);
}

TEST_F(TreeJudgeTest, WhatNobodyKnowsToHaveBeenSentIsNotExcused) {
  Write("d0");
  Write("d1");
  Lose("d1");
  EXPECT_EQ(Commit(), i8_);
}

TEST_F(TreeJudgeTest, TheLastCopyMayNotBeLost) {
  Send(job_.ToString());
  Write("d0");
  Write("d1");
  Lose("d0");
  Lose("d1");
  EXPECT_EQ(Commit(), i8_);
}

// It counts copies of which it was told for another job.
TEST_F(TreeJudgeTest, ACopyThatWasLostBeforeTheJobWasSentIsNotExcused) {
  Write("d0");
  Write("d1");
  Lose("d1");
  Send(job_.ToString());
  Write("d0");
  EXPECT_EQ(Commit(), i8_);
}

TEST_F(TreeJudgeTest, ACopyThatWasNotMadeForThisJobIsNotExcused) {
  Write("d0");
  Write("d1");
  Send(job_.ToString());
  Write("d0");
  Lose("d1");
  EXPECT_EQ(Commit(), i8_);
}

TEST_F(TreeJudgeTest, ACopyThatAProcessDeletesIsNotExcused) {
  Send(job_.ToString());
  Write("d0");
  Write("d1");
  copies_->OnDeleted("d1", kGraph);
  EXPECT_EQ(Commit(), i8_);
}

TEST_F(TreeJudgeTest, ALostCopyThatAProcessThenDeletesIsNotExcused) {
  Send(job_.ToString());
  Write("d0");
  Write("d1");
  Lose("d1");  // a bit of it flips
  copies_->OnDeleted("d1", kGraph);
  EXPECT_EQ(Commit(), i8_);
}

TEST_F(TreeJudgeTest, TheNextDiskIsLostOnlyWhenTheCopiesHaveBeenMadeAgain) {
  EXPECT_TRUE(judge_.MayLoseADisk());
  Write("d0");
  EXPECT_TRUE(judge_.MayLoseADisk()) << "no fault has taken anything of it";
  Write("d1");
  Lose("d1");
  EXPECT_FALSE(judge_.MayLoseADisk()) << "its commit may be under way";
  Write("d2");
  EXPECT_TRUE(judge_.MayLoseADisk());
  Lose("d2");
  copies_->OnDeleted("d0", kGraph);
  EXPECT_TRUE(judge_.MayLoseADisk()) << "it is nowhere any more";
}

}  // namespace
}  // namespace baton
