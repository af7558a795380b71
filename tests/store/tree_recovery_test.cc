#include "store/tree_recovery.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "store/record_folder.h"
#include "store/tree_reading.h"
#include "tests/store/standby_fixture.h"

namespace baton {
namespace {

using Code = absl::StatusCode;

class TreeRecoveryTest : public StandbyFixture {
 protected:
  TreeRecoveryTest() {
    pb::MemberList members;
    members.set_version(4);
    members.add_members()->set_replica_id("standby");
    members_ = members.SerializeAsString();
    Make(paths_.members(), members_);
    Make(paths_.roster(TaskManagerId("tm")), "description");
  }

  void Make(const std::string& path, const std::string& data) {
    const auto status = Run<absl::Status>(
        [&](auto done) { other_->Create(path, data, NodeKind::kPersistent, std::move(done)); });
    ASSERT_TRUE(status.ok()) << path << " " << status;
  }

  absl::Status Read() {
    const auto status = Run<absl::Status>(
        [&](auto done) { ReadTree(standby_client_, paths_, journal_, std::move(done)); });
    Settle();  // what was learned is synced
    return status;
  }

  std::vector<std::string> Children(const std::string& path) {
    auto names = Run<absl::StatusOr<std::vector<std::string>>>(
        [&](auto done) { other_->Children(path, nullptr, std::move(done)); });
    return names.ok() ? *names : std::vector<std::string>();
  }
  void Wipe(const std::string& path) {
    for (const auto& name : Children(path)) Wipe(path + "/" + name);
    (void)Run<absl::Status>([&](auto done) { other_->Delete(path, kAnyVersion, std::move(done)); });
  }
  // The data of the coordination service is lost; a replica has registered since.
  void LoseTree() {
    for (const auto& name : Children(paths_.base())) Wipe(paths_.base() + "/" + name);
  }

  absl::StatusOr<TreeRecoveryReport> Recover(std::set<std::string> without = {}) {
    return Run<absl::StatusOr<TreeRecoveryReport>>([&](auto done) {
      RecoverTree({standby_executor_, standby_client_, paths_, journal_, [this] { return links_; },
                   "standby", [] { return Epoch{}; }},
                  std::move(without), std::move(done));
    });
  }

  uint64_t EpochInTree() {
    pb::LeaderRecord record;
    const auto node = Node(paths_.epoch());
    return node.ok() && record.ParseFromString(node->data) ? record.epoch() : 0;
  }

  std::string members_;
};

TEST_F(TreeRecoveryTest, WhatTheJournalHoldsStandsInTheTreeAgain) {
  auto pointer = *Add(Id(1));
  pointer.set_cancelling(true);
  ASSERT_TRUE(Update(Id(1), pointer).ok());
  const std::string data = Node(paths_.job(Id(1)))->data;
  ASSERT_TRUE(Add(Id(2)).ok());
  ASSERT_TRUE(Commit(Id(2), ResultNow()).ok());
  ASSERT_TRUE(Read().ok());
  LoseTree();
  const auto report = Recover();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->jobs, 1u);
  EXPECT_EQ(report->results, 1u);
  EXPECT_EQ(Node(paths_.job(Id(1)))->data, data);
  EXPECT_TRUE(Exists(paths_.result(Id(2))));
  EXPECT_FALSE(Exists(paths_.job(Id(2))));
  EXPECT_EQ(Node(paths_.members())->data, members_);
  EXPECT_EQ(Node(paths_.roster(TaskManagerId("tm")))->data, "description");
  EXPECT_EQ(EpochInTree(), 2u);
  EXPECT_EQ(Children(paths_.jobs()).size(), 16u);
  EXPECT_EQ(Recover().status().code(), Code::kFailedPrecondition) << "nothing is lost any more";
}

TEST_F(TreeRecoveryTest, ItDoesNothingWhileSomebodyLeads) {
  ASSERT_TRUE(Read().ok());
  LoseTree();
  Make(paths_.leader(), "");
  EXPECT_EQ(Recover().status().code(), Code::kFailedPrecondition);
  EXPECT_FALSE(Exists(paths_.epoch()));
}

TEST_F(TreeRecoveryTest, ItDoesNothingWhileNothingIsLost) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Read().ok());
  const auto status = Recover().status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(Message(status).find("nothing is lost"), std::string::npos) << status;
}

TEST_F(TreeRecoveryTest, AMemberThatCannotBeAskedIsAskedFor) {
  pb::MemberList members;
  members.ParseFromString(members_);
  members.set_version(5);
  members.add_members()->set_replica_id("other");
  Overwrite(paths_.members(), members.SerializeAsString());
  ASSERT_TRUE(Read().ok());
  LoseTree();
  const auto status = Recover().status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(Message(status).find("--without other"), std::string::npos) << status;
  EXPECT_EQ(Children(paths_.base()), std::vector<std::string>()) << "it wrote before it was sure";
  ASSERT_TRUE(Recover({"other"}).ok());
  EXPECT_GE(EpochInTree(), 1'000u) << "the one that was not asked may know a later epoch";
}

TEST_F(TreeRecoveryTest, APeersJournalIsReadPageByPage) {
  ASSERT_TRUE(Read().ok());
  // The leader's own journal knows what this one does not.
  auto engine = std::make_shared<FakeKvEngine>(disk_, executor_, Families());
  auto leaders = std::make_shared<RecordJournal>(engine, executor_, paths_);
  ASSERT_TRUE(Run<absl::Status>([&](auto done) { leaders->Load(std::move(done)); }).ok());
  for (int i = 0; i < 450; ++i) {
    pb::JobPointer pointer;
    pointer.set_epoch(6);
    pointer.set_sequence(static_cast<uint64_t>(i));
    leaders->Learn(paths_.job(Id(i)), pointer.SerializeAsString());
  }
  leaders->NoteEpoch(Epoch{6});
  leaders->NoteComplete();
  Settle();
  bool leads = true;
  RequestDesk desk(*server_link_, executor_);
  ServeJournal(
      desk, leaders, [&] { return leads; }, [] { return Epoch{7}; });
  Link();
  LoseTree();
  EXPECT_EQ(Recover().status().code(), Code::kFailedPrecondition) << "the peer leads";
  leads = false;
  const auto report = Recover();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->jobs, 450u);
  EXPECT_EQ(report->asked.size(), 2u);
  EXPECT_EQ(EpochInTree(), 8u) << "above what the peer has heard of";
}

// Another recovery was faster, its leader has finished a job: this one must not bring it back.
TEST_F(TreeRecoveryTest, ALateRecoveryWritesNothingOnceThereIsAnEpoch) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Add(Id(i)).ok());
  ASSERT_TRUE(Read().ok());
  LoseTree();
  auto late = std::make_shared<std::optional<absl::StatusOr<TreeRecoveryReport>>>();
  RecoverTree({standby_executor_, standby_client_, paths_, journal_, [this] { return links_; },
               "standby", [] { return Epoch{}; }},
              {}, [late](auto report) { *late = std::move(report); });
  // In the middle of it: the first of its records is there.
  std::string first = paths_.job(Id(0));
  for (int i = 1; i < 300; ++i) first = std::min(first, paths_.job(Id(i)));
  for (int i = 0; i < 100'000 && !Exists(first); ++i) scheduler_.RunOne();
  pb::LeaderRecord record;
  record.set_epoch(9);
  Make(paths_.epoch(), record.SerializeAsString());
  size_t before = 0;
  for (const auto& bucket : Children(paths_.jobs())) {
    before += Children(paths_.jobs() + "/" + bucket).size();
  }
  ASSERT_TRUE(scheduler_.RunUntil([&] { return late->has_value(); }, std::chrono::seconds(60)));
  EXPECT_FALSE((*late)->ok());
  size_t after = 0;
  for (const auto& bucket : Children(paths_.jobs())) {
    after += Children(paths_.jobs() + "/" + bucket).size();
  }
  EXPECT_EQ(before, after);
  EXPECT_LT(after, 300u);
  EXPECT_EQ(EpochInTree(), 9u);
}

TEST_F(TreeRecoveryTest, ATreeThatWasSetBackIsBroughtForward) {
  ASSERT_TRUE(Add(Id(1)).ok());
  const std::string old_pointer = Node(paths_.job(Id(1)))->data;
  ASSERT_TRUE(Commit(Id(1), ResultNow()).ok());
  pb::LeaderRecord record;
  record.set_epoch(5);
  ASSERT_TRUE(Read().ok());
  journal_->NoteEpoch(Epoch{5});
  Settle();
  // A backup of before: epoch 1, the job that has ended is there, its result is not.
  Make(paths_.job(Id(1)), old_pointer);
  Wipe(paths_.result(Id(1)));
  const auto report = Recover();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
  EXPECT_TRUE(Exists(paths_.result(Id(1))));
  EXPECT_EQ(EpochInTree(), 6u);
}

}  // namespace
}  // namespace baton
