// A job that cannot be read is alone with it (P7): visible with the reason, retried until it can
// be, and no obstacle to whoever wants to be rid of it.

#include <gtest/gtest.h>

#include "dispatcher/job_registry.h"
#include "tests/dispatcher/fake_resource_manager.h"
#include "tests/store/leader_fixture.h"

namespace baton {
namespace {

class QuarantineTest : public LeaderFixture {
 protected:
  QuarantineTest() {
    Prepare();
    registry_ = std::make_shared<JobRegistry>(
        JobManagerRunner::Dependencies{executor_, &rm_, Epoch{1}, {}, graphs_, results_, nullptr});
  }

  // As a new leader does.
  void Recover() {
    const auto listed = List();
    ASSERT_TRUE(listed.ok());
    for (const RecoveredPointer& found : *listed) {
      auto& runner =
          registry_->Add(found.id, found.pointer.ok() ? *found.pointer : pb::JobPointer());
      found.pointer.ok() ? runner.Recover() : runner.Quarantine(found.pointer.status());
    }
    Settle();
  }

  std::string Reason(int i) {
    const JobManagerRunner* runner = registry_->Find(Id(i));
    if (runner == nullptr) return "(no such job)";
    const JobDetails details = runner->Details();
    return details.exceptions.empty() ? "" : details.exceptions.front().message;
  }
  bool Runs(int i) { return rm_.jobs.contains(Id(i)); }

  absl::Status Cancel(int i) {
    return Run<absl::Status>([&](auto done) { registry_->Find(Id(i))->Cancel(std::move(done)); });
  }

  FakeResourceManager rm_;
  std::shared_ptr<JobRegistry> registry_;
};

TEST_F(QuarantineTest, F16APointerThatNamesAMissingBlobHindersNobody) {
  const std::string digest = Add(Id(1), "lost")->graph_digest();
  ASSERT_TRUE(Add(Id(2), "well").ok());
  disk_->Drop("job-graph", digest);
  Recover();
  EXPECT_FALSE(Runs(1));
  EXPECT_TRUE(Runs(2));
  EXPECT_NE(Reason(1).find("in quarantine: no copy of job-graph " + digest), std::string::npos)
      << Reason(1);
}

TEST_F(QuarantineTest, ItRunsByItselfWhenACopyAppears) {
  const std::string digest = Add(Id(1), "lost")->graph_digest();
  disk_->Drop("job-graph", digest);
  Recover();
  scheduler_.AdvanceBy(std::chrono::minutes(5));
  ASSERT_FALSE(Runs(1));
  ASSERT_TRUE(Run<absl::StatusOr<std::string>>([&](auto done) {
                local_->Put(BlobKind::kJobGraph, ToStored(Graph("lost")), std::move(done));
              }).ok());
  scheduler_.AdvanceBy(std::chrono::seconds(11));
  EXPECT_TRUE(Runs(1));
  EXPECT_EQ(Reason(1), "");
}

TEST_F(QuarantineTest, F16AnUnreadablePointerIsReadAgain) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Add(Id(2)).ok());
  const std::string good = Node(paths_.job(Id(1)))->data;
  Overwrite(paths_.job(Id(1)), "\xff\xff");
  Recover();
  EXPECT_FALSE(Runs(1));
  EXPECT_TRUE(Runs(2));
  EXPECT_NE(Reason(1).find("is unreadable"), std::string::npos) << Reason(1);
  Overwrite(paths_.job(Id(1)), good);
  scheduler_.AdvanceBy(std::chrono::seconds(11));
  EXPECT_TRUE(Runs(1));
}

TEST_F(QuarantineTest, AJobInQuarantineCanBeCancelled) {
  disk_->Drop("job-graph", Add(Id(1))->graph_digest());
  Recover();
  EXPECT_TRUE(Cancel(1).ok());
  EXPECT_EQ(registry_->Find(Id(1)), nullptr);
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
  const auto result = Find(Id(1));
  ASSERT_TRUE(result.ok() && result->has_value());
  EXPECT_EQ((*result)->outcome(), "CANCELED");
  EXPECT_NE((*result)->failure_cause().find("in quarantine"), std::string::npos);
  scheduler_.AdvanceBy(std::chrono::minutes(1));
  EXPECT_FALSE(Runs(1));
}

TEST_F(QuarantineTest, SoCanOneWhosePointerIsUnreadable) {
  ASSERT_TRUE(Add(Id(1)).ok());
  Overwrite(paths_.job(Id(1)), "");
  Recover();
  EXPECT_TRUE(Cancel(1).ok());
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
  EXPECT_EQ((**Find(Id(1))).outcome(), "CANCELED");
}

TEST_F(QuarantineTest, ACancellationThatCameBeforeItsGraphCouldNotBeReadIsAnswered) {
  disk_->Drop("job-graph", Add(Id(1))->graph_digest());
  auto& runner = registry_->Add(Id(1), *(*List())[0].pointer);
  runner.Recover();
  EXPECT_TRUE(Cancel(1).ok());
  EXPECT_EQ((**Find(Id(1))).outcome(), "CANCELED");
}

}  // namespace
}  // namespace baton
