#include "dispatcher/membership.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>

#include "tests/dispatcher/worker_fixture.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// The leader is replica "a". What stands in `members` is read through the coordination service.
class MembershipTest : public WorkerFixture {
 protected:
  MembershipTest() {
    list_.set_version(1);
    AddTo(list_, "a", "a:6123");
    Run<absl::Status>([&](auto done) {
      other_->Create(paths_.members(), list_.SerializeAsString(), NodeKind::kPersistent,
                     std::move(done));
    }).IgnoreError();
    MakeResourceManager();
    membership_ = std::make_shared<Membership>(
        Membership::Dependencies{executor_, rm_.get(), fence_, ReplicaId("a"), minutes(10)});
    rm_->OnMembersAsked([this] { membership_->Evaluate(); });
    membership_->Start();
    Appear("a", "a:6123");
  }
  ~MembershipTest() override { membership_ = nullptr; }

  static void AddTo(pb::MemberList& list, const std::string& id, const std::string& address) {
    auto* member = list.add_members();
    member->set_replica_id(id);
    member->set_rpc_address(address);
  }

  // What the election would show.
  void Show() {
    view_.connected = true;
    EXPECT_TRUE(view_.members.ParseFromString(Node(paths_.members())->data));
    membership_->OnView(view_);
    Settle();
  }
  void Appear(const std::string& id, const std::string& address) {
    std::erase_if(view_.replicas, [&](const auto& r) { return r.replica_id() == id; });
    pb::ReplicaRecord& record = view_.replicas.emplace_back();
    record.set_replica_id(id);
    record.set_rpc_address(address);
    Show();
  }
  void Vanish(const std::string& id) {
    std::erase_if(view_.replicas, [&](const auto& r) { return r.replica_id() == id; });
    Show();
  }

  // "a@a:6123"
  static std::set<std::string> Names(const pb::MemberList& list) {
    std::set<std::string> names;
    for (const auto& m : list.members()) names.insert(m.replica_id() + "@" + m.rpc_address());
    return names;
  }
  std::set<std::string> Members() {
    pb::MemberList list;
    EXPECT_TRUE(list.ParseFromString(Node(paths_.members())->data));
    return Names(list);
  }

  // The list that the worker is answered; it says that it asks it unless it is told not to.
  std::set<std::string> Beat(TestWorker& worker) {
    std::optional<pb::MemberList> told;
    pb::Envelope request;
    request.mutable_heartbeat()->set_registration_id(worker.registration_id);
    request.mutable_heartbeat()->set_members_version(worker.members_version);
    worker.link->Call(std::move(request), seconds(5), [&](absl::StatusOr<pb::Envelope> reply) {
      if (reply.ok()) told = reply->heartbeat_reply().members();
    });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return told.has_value(); }, seconds(10)));
    // As the TaskManager does: only what is newer.
    if (told->version() > worker.members_version) {
      worker.members_version = told->version();
      asked_[&worker] = Names(*told);
    }
    return asked_[&worker];
  }
  void BeatTwice(TestWorker& worker) {  // hears the list, then says that it asks it
    Beat(worker);
    Beat(worker);
    Settle();
  }

  std::optional<absl::Status> Ask(const std::function<void(Membership::StatusCallback)>& question) {
    auto answer = std::make_shared<std::optional<absl::Status>>();
    question([answer](absl::Status status) { *answer = std::move(status); });
    scheduler_.RunUntil([&] { return answer->has_value(); }, seconds(5));
    return *answer;
  }
  absl::Status Retire(const std::string& id) {
    auto status = Ask([&](auto done) { membership_->Retire(ReplicaId(id), std::move(done)); });
    Show();
    return status.value_or(Internal("no answer"));
  }
  absl::Status Admit(const std::string& id) {
    auto status = Ask([&](auto done) { membership_->Admit(ReplicaId(id), std::move(done)); });
    Show();
    return status.value_or(Internal("no answer"));
  }
  // Without TaskManagers everything is admitted at once.
  void MakeMembers(const std::set<std::string>& ids) {
    for (const std::string& id : ids) {
      Appear(id, id + ":6123");
      PassTime(milliseconds(100));
      Show();
      EXPECT_TRUE(Members().contains(id + "@" + id + ":6123"));
    }
  }

  pb::MemberList list_;
  LeadershipView view_;
  std::shared_ptr<Membership> membership_;
  std::map<TestWorker*, std::set<std::string>> asked_;
};

using Set = std::set<std::string>;

TEST_F(MembershipTest, ANewcomerIsAdmittedWhenEveryTaskManagerAsksIt) {
  TestWorker& first = Join("t1", 1);
  TestWorker& second = Join("t2", 1);
  Appear("b", "b:6123");
  BeatTwice(first);
  Beat(second);  // has heard the list but not yet said so
  EXPECT_EQ(Members(), (Set{"a@a:6123"}));
  BeatTwice(second);
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"}));
  EXPECT_EQ(asked_[&first], (Set{"a@a:6123", "b@b:6123"}));
}

// Each list that is told has a version of its own: what was said of the first candidate's list is
// not taken for the second one's.
TEST_F(MembershipTest, AWordForAnEarlierCandidateIsNoWordForALaterOne) {
  TestWorker& worker = Join("t1", 1);
  Appear("b", "b:6123");
  Beat(worker);  // hears of b
  Vanish("b");
  Appear("c", "c:6123");
  const uint64_t says = worker.members_version;
  pb::Envelope request;  // says that it asks the list with b, and hears nothing in return
  request.mutable_heartbeat()->set_registration_id(worker.registration_id);
  request.mutable_heartbeat()->set_members_version(says);
  worker.link->Send(std::move(request));
  PassTime(seconds(3));
  EXPECT_EQ(Members(), (Set{"a@a:6123"})) << "nobody asks c yet";
  BeatTwice(worker);
  EXPECT_EQ(Members(), (Set{"a@a:6123", "c@c:6123"}));
}

TEST_F(MembershipTest, ATaskManagerThatRegistersAgainMustSayItAgain) {
  TestWorker& worker = Join("t1", 1);
  Appear("b", "b:6123");
  Beat(worker);
  Register(worker, "t1", 1);
  Appear("b", "b:6123");
  EXPECT_EQ(Members(), (Set{"a@a:6123"}));
  BeatTwice(worker);
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"}));
}

TEST_F(MembershipTest, ANewAddressIsAnAdditionAndARemoval) {
  MakeMembers({"b"});
  TestWorker& worker = Join("t1", 1);
  Appear("b", "b:7000");
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"}));
  Beat(worker);
  EXPECT_EQ(asked_[&worker], (Set{"a@a:6123", "b@b:6123", "b@b:7000"})) << "both until it is done";
  BeatTwice(worker);
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:7000"}));
  Show();
  BeatTwice(worker);
  EXPECT_EQ(asked_[&worker], (Set{"a@a:6123", "b@b:7000"}));
}

TEST_F(MembershipTest, AnotherReplicaAtTheAddressOfADeadOneTakesItsPlace) {
  MakeMembers({"b"});
  Vanish("b");
  Appear("c", "b:6123");
  PassTime(milliseconds(100));
  EXPECT_EQ(Members(), (Set{"a@a:6123", "c@b:6123"}));
}

TEST_F(MembershipTest, TwoProcessesAtOneAddressDoNotDisplaceEachOther) {
  MakeMembers({"b"});
  Appear("c", "b:6123");  // b is there too
  PassTime(seconds(5));
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"}));
  view_.replicas.erase(view_.replicas.begin());
  Appear("a", "a:9999");  // a process with the leader's id
  PassTime(seconds(5));
  EXPECT_TRUE(Members().contains("a@a:6123")) << "a leader never removes itself";
}

// Whatever stands in `members`, or is about to, is asked by everybody.
TEST_F(MembershipTest, AnAdditionUnderWayIsToldWhoeverVanishes) {
  TestWorker& worker = Join("t1", 1);
  Appear("b", "b:6123");
  BeatTwice(worker);
  ASSERT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"}));  // committed; the view is older
  std::erase_if(view_.replicas, [](const auto& r) { return r.replica_id() == "b"; });
  membership_->OnView(view_);
  Settle();
  BeatTwice(worker);
  EXPECT_EQ(asked_[&worker], (Set{"a@a:6123", "b@b:6123"}));
}

TEST_F(MembershipTest, ARemovalIsWrittenBeforeItIsTold) {
  MakeMembers({"b", "c"});
  TestWorker& worker = Join("t1", 1);
  BeatTwice(worker);
  const LeadershipView before = view_;
  EXPECT_TRUE(Retire("c").ok());
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"}));
  BeatTwice(worker);
  EXPECT_EQ(asked_[&worker], (Set{"a@a:6123", "b@b:6123"}));
  fence_->Pause();  // what cannot be written is not told
  auto pending = Ask([&](auto done) { membership_->Retire(ReplicaId("b"), std::move(done)); });
  EXPECT_FALSE(pending.has_value());
  membership_->Evaluate();
  fence_->Resume();
  PassTime(seconds(1));
  EXPECT_EQ(Members(), (Set{"a@a:6123"}));
  EXPECT_EQ(asked_[&worker], (Set{"a@a:6123", "b@b:6123"}));
}

TEST_F(MembershipTest, ARetiredReplicaStaysOutUntilItIsAdmittedAgain) {
  MakeMembers({"b"});
  EXPECT_TRUE(Retire("b").ok());
  EXPECT_TRUE(Retire("b").ok()) << "repeatable";
  PassTime(minutes(1));
  EXPECT_EQ(Members(), (Set{"a@a:6123"})) << "it runs, and is not taken back";
  Vanish("b");
  Appear("b", "b:7000");
  PassTime(minutes(1));
  EXPECT_EQ(Members(), (Set{"a@a:6123"})) << "nor at another address";
  EXPECT_TRUE(Admit("b").ok());
  PassTime(seconds(2));
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:7000"}));
}

TEST_F(MembershipTest, TheLeaderAndStrangersAreNotRetired) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Retire("a")));
  EXPECT_TRUE(absl::IsNotFound(Retire("nobody")));
  EXPECT_TRUE(absl::IsNotFound(Admit("nobody")));
  EXPECT_EQ(Members(), (Set{"a@a:6123"}));
}

TEST_F(MembershipTest, AMemberAwayForLongIsRemovedWhileTwoOthersRemain) {
  MakeMembers({"b", "c"});
  Vanish("c");
  PassTime(minutes(9));
  Show();
  EXPECT_EQ(Members().size(), 3u);
  PassTime(minutes(1) + seconds(2));
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"}));
  Show();
  Vanish("b");
  PassTime(minutes(60));
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123"})) << "two must remain";
  Appear("b", "b:6123");
  Appear("c", "c:6123");
  PassTime(seconds(2));
  EXPECT_EQ(Members(), (Set{"a@a:6123", "b@b:6123", "c@c:6123"})) << "admitted when it is back";
}

TEST_F(MembershipTest, AMemberThatComesBackInTimeStays) {
  MakeMembers({"b", "c"});
  for (int i = 0; i < 5; ++i) {
    Vanish("c");
    PassTime(minutes(8));
    Appear("c", "c:6123");
    PassTime(minutes(1));
  }
  EXPECT_EQ(Members().size(), 3u);
}

}  // namespace
}  // namespace baton
