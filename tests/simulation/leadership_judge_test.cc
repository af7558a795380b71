// The judge of leaderships is judged: who may be replaced as silent (L4), and who still gives
// orders (I4).

#include "tests/simulation/leadership_judge.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "rpc/messages.pb.h"

namespace baton {
namespace {

using std::chrono::seconds;

class LeadershipJudgeTest : public testing::Test {
 protected:
  LeadershipJudgeTest() {
    pb::MemberList members;
    for (const char* id : {"d0", "d1", "d2"}) {
      auto& member = *members.add_members();
      member.set_replica_id(id);
      member.set_rpc_address(std::string(id) + ":6123");
    }
    JournalRecord record;
    record.nodes.emplace_back(paths_.members(), NodeData{members.SerializeAsString(), {}});
    tree_->Append(std::move(record), [](const absl::Status&) {});
    network_->KeepTime(clock_);
    for (const char* id : {"d0", "d1", "d2"}) Start(id, std::string(id) + "-1");
    scheduler_.AdvanceBy(seconds(60));
  }

  void Start(const std::string& id, const std::string& incarnation) {
    judge_.OnStarted(id);
    pb::Envelope hello;
    hello.mutable_hello()->set_incarnation(incarnation);
    judge_.OnFrame(id, id == "d0" ? "d1" : "d0", hello.SerializeAsString());
  }
  void Elect(uint64_t epoch, const std::string& id, const std::string& incarnation,
             const std::string& cause, const std::string& previous) {
    pb::LeaderRecord record;
    record.set_epoch(epoch);
    record.set_replica_id(id);
    record.set_incarnation(incarnation);
    record.set_cause(cause);
    judge_.OnElected(record, previous);
  }
  void Order(const std::string& from, uint64_t epoch) {
    pb::Envelope order;
    order.set_epoch(epoch);
    order.mutable_cancel_tasks();
    judge_.OnFrame(from, "t0", order.SerializeAsString());
  }

  const std::vector<std::string> nothing_;
  const CoordinationPaths paths_{"/baton", "judged"};
  ManualScheduler scheduler_{1};
  const ExecutorPtr clock_ = scheduler_.NewExecutor("clock");
  const SimulatedNetworkPtr network_ = std::make_shared<SimulatedNetwork>(1);
  std::vector<std::string> broken_;
  const OnViolation violated_ = [this](const std::string& invariant, const std::string&) {
    broken_.push_back(invariant);
  };
  const std::shared_ptr<TreeJudge> tree_ =
      std::make_shared<TreeJudge>(paths_, std::make_shared<CopyLedger>(clock_), violated_);
  LeadershipJudge judge_{clock_, network_, tree_, violated_};
};

TEST_F(LeadershipJudgeTest, WhoCanBeHeardIsNotReplacedAsSilent) {
  Elect(1, "d0", "d0-1", "start", "");
  scheduler_.AdvanceBy(seconds(60));
  Elect(2, "d1", "d1-1", "silence", "d0");
  EXPECT_EQ(broken_, std::vector<std::string>{"L4"});
}

TEST_F(LeadershipJudgeTest, WhoIsStoppedIsSilent) {
  Elect(1, "d0", "d0-1", "start", "");
  judge_.OnStopped("d0");
  scheduler_.AdvanceBy(seconds(60));
  Elect(2, "d1", "d1-1", "silence", "d0");
  EXPECT_EQ(broken_, nothing_);
}

// Its bid waited at the coordination service while it died and was started again: the epoch is that
// of its earlier life, which nobody can hear.
TEST_F(LeadershipJudgeTest, AnEpochMayBeWonByTheDead) {
  Start("d0", "d0-2");
  scheduler_.AdvanceBy(seconds(60));
  Elect(1, "d0", "d0-1", "process-death", "d2");
  scheduler_.AdvanceBy(seconds(60));
  Elect(2, "d1", "d1-1", "silence", "d0");
  EXPECT_EQ(broken_, nothing_);
}

TEST_F(LeadershipJudgeTest, WhoWasDeposedOrdersNothing) {
  Elect(1, "d0", "d0-1", "start", "");
  Elect(2, "d1", "d1-1", "process-death", "d0");
  scheduler_.AdvanceBy(seconds(3));
  Order("d0", 1);
  EXPECT_EQ(broken_, nothing_) << "its last confirmation may still count";
  scheduler_.AdvanceBy(seconds(1));
  Order("d0", 1);
  EXPECT_EQ(broken_, std::vector<std::string>{"I4"});
}

TEST_F(LeadershipJudgeTest, WhoLeadsAgainOrdersNothingInTheNameOfItsFirstTime) {
  Elect(1, "d0", "d0-1", "start", "");
  Elect(2, "d1", "d1-1", "process-death", "d0");
  Elect(3, "d0", "d0-1", "process-death", "d1");
  scheduler_.AdvanceBy(seconds(4));
  Order("d0", 3);
  EXPECT_EQ(broken_, nothing_);
  Order("d0", 1);
  EXPECT_EQ(broken_, std::vector<std::string>{"I4"});
}

}  // namespace
}  // namespace baton
