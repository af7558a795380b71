#include "dispatcher/submission_desk.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "base/manual_executor.h"
#include "base/status.h"
#include "tests/dispatcher/fake_resource_manager.h"
#include "tests/dispatcher/graphs.h"

namespace baton {
namespace {

using std::chrono::seconds;

// Answers when the test says so.
class FakeGraphStore final : public JobGraphStore {
 public:
  void Prepare(StatusCallback) override {}
  void List(Callback<std::vector<RecoveredPointer>>) override {}
  void ReadPointer(JobId, Callback<pb::JobPointer> callback) override {
    callback(committed ? *committed : pointers.back());
  }
  void Add(JobId, const JobGraph&, pb::JobPointer pointer,
           Callback<pb::JobPointer> callback) override {
    pointers.push_back(std::move(pointer));
    adds.push_back(std::move(callback));
  }
  void Update(JobId, pb::JobPointer, StatusCallback) override {}
  void LoadGraph(const pb::JobPointer&, Callback<JobGraphPtr>) override {}

  std::vector<pb::JobPointer> pointers;
  std::optional<pb::JobPointer> committed;  // else the last one added
  std::deque<Callback<pb::JobPointer>> adds;
};

class FakeResultStore final : public JobResultStore {
 public:
  void Commit(JobId, pb::JobResult, std::string, StatusCallback) override {}
  void Find(JobId id, Callback<std::optional<pb::JobResult>> callback) override {
    if (!error.ok()) return callback(error);
    auto it = results.find(id);
    callback(it == results.end() ? std::optional<pb::JobResult>() : it->second);
  }
  void LoadArchive(const pb::JobResult&, Callback<std::string>) override {}
  void LoadHistory(StatusCallback) override {}
  void List(Callback<std::vector<pb::JobResult>>) override {}
  bool history_loaded() const override { return is_loaded; }
  bool full() const override { return is_full; }

  std::map<JobId, pb::JobResult> results;
  absl::Status error;
  bool is_full = false;
  bool is_loaded = true;
};

class SubmissionDeskTest : public testing::Test {
 protected:
  using Answer = std::shared_ptr<std::optional<absl::StatusOr<SubmitReply>>>;

  Answer Submit(const std::string& key = "job", const std::string& digest = "d1") {
    auto answer = std::make_shared<std::optional<absl::StatusOr<SubmitReply>>>();
    desk_->Submit({JobId::FromKey(key), graph_, digest},
                  [answer](absl::StatusOr<SubmitReply> reply) { *answer = std::move(reply); });
    scheduler_.RunUntilIdle();
    return answer;
  }

  void AnswerStore(absl::StatusOr<pb::JobPointer> answer) {
    ASSERT_FALSE(graphs_->adds.empty());
    auto callback = std::move(graphs_->adds.front());
    graphs_->adds.pop_front();
    callback(std::move(answer));
    scheduler_.RunUntilIdle();
  }
  void Stored() { AnswerStore(graphs_->pointers.back()); }

  ManualScheduler scheduler_{1};
  ExecutorPtr executor_ = scheduler_.NewExecutor("leader");
  JobGraphPtr graph_ = Graph({Vertex("a")});
  FakeResourceManager rm_;
  std::shared_ptr<FakeGraphStore> graphs_ = std::make_shared<FakeGraphStore>();
  std::shared_ptr<FakeResultStore> results_ = std::make_shared<FakeResultStore>();
  std::shared_ptr<JobRegistry> registry_ = std::make_shared<JobRegistry>(
      JobManagerRunner::Dependencies{executor_, &rm_, Epoch{1}, {}, graphs_, results_, nullptr});
  DispatcherOptions options_{.max_pending_submissions = 2};
  std::shared_ptr<SubmissionDesk> desk_ =
      std::make_shared<SubmissionDesk>(SubmissionDesk::Dependencies{
          executor_, ReplicaId("r"), Epoch{1}, registry_, graphs_, results_, options_});
};

TEST_F(SubmissionDeskTest, AnswersWhenTheJobIsDurableAndRunsIt) {
  const Answer answer = Submit();
  EXPECT_FALSE(*answer);
  Stored();
  ASSERT_TRUE(*answer && (*answer)->ok());
  EXPECT_FALSE((**answer)->already_known);
  EXPECT_EQ(rm_.DeployAll().size(), 1u);
}

TEST_F(SubmissionDeskTest, TwoRequestsWithOneIdAtOnceAreOneRun) {
  const Answer first = Submit(), second = Submit();
  EXPECT_EQ(graphs_->adds.size(), 1u);
  Stored();
  ASSERT_TRUE(*first && (*first)->ok() && *second && (*second)->ok());
  EXPECT_FALSE((**first)->already_known);
  EXPECT_TRUE((**second)->already_known);
  const Answer third = Submit();
  ASSERT_TRUE(*third && (*third)->ok());
  EXPECT_TRUE((**third)->already_known);
  EXPECT_TRUE(graphs_->adds.empty());
}

TEST_F(SubmissionDeskTest, AnotherJobUnderTheSameIdIsRefusedWhereverTheFirstIs) {
  const Answer first = Submit();
  EXPECT_TRUE(absl::IsAlreadyExists((*Submit("job", "d2"))->status()));
  Stored();
  EXPECT_TRUE(absl::IsAlreadyExists((*Submit("job", "d2"))->status()));
}

TEST_F(SubmissionDeskTest, AJobThatHasEndedIsNotRunAgain) {
  pb::JobResult& result = results_->results[JobId::FromKey("job")];
  result.set_submission_digest("d1");
  const Answer same = Submit();
  ASSERT_TRUE(*same && (*same)->ok());
  EXPECT_TRUE((**same)->already_known);
  EXPECT_TRUE(absl::IsAlreadyExists((*Submit("job", "d2"))->status()));
  EXPECT_TRUE(graphs_->adds.empty());
}

// A new leader does not ask first: the commit is refused where a result stands.
TEST_F(SubmissionDeskTest, BeforeTheHistoryIsReadTheCommitTellsThatAJobHasEnded) {
  results_->is_loaded = false;
  results_->results[JobId::FromKey("job")].set_submission_digest("d1");
  const Answer same = Submit();
  const Answer other = Submit("job", "d2");
  EXPECT_TRUE(absl::IsAlreadyExists((*other)->status()));
  AnswerStore(absl::AlreadyExistsError("a result stands there"));
  ASSERT_TRUE(*same && (*same)->ok());
  EXPECT_TRUE((**same)->already_known);
  EXPECT_TRUE(rm_.DeployAll().empty()) << "it never runs again";
}

TEST_F(SubmissionDeskTest, AJobThatHasEndedIsKnownAlthoughTheStoreHasNoRoom) {
  results_->is_loaded = false;
  results_->results[JobId::FromKey("job")].set_submission_digest("d1");
  const Answer same = Submit();
  AnswerStore(absl::UnavailableError("stored on 1 of 2 required replicas"));
  ASSERT_TRUE(*same && (*same)->ok());
  EXPECT_TRUE((**same)->already_known);
  const Answer other = Submit("other job");
  AnswerStore(absl::UnavailableError("stored on 1 of 2 required replicas"));
  EXPECT_TRUE(absl::IsUnavailable((*other)->status()));
}

// Nothing of this request was committed: it is answered once and leaves nothing behind.
TEST_F(SubmissionDeskTest, AResultThatCannotBeReadIsAnAnswerAndNoLoop) {
  results_->is_loaded = false;
  results_->error = absl::DataLossError("the result is unreadable");
  const Answer answer = Submit();
  AnswerStore(absl::AlreadyExistsError("a result stands there"));
  ASSERT_TRUE(*answer);
  EXPECT_TRUE(absl::IsDataLoss((*answer)->status()));
  EXPECT_FALSE(desk_->IsPending(JobId::FromKey("job")));
  scheduler_.AdvanceBy(seconds(5));
  EXPECT_TRUE(graphs_->adds.empty()) << "it is not tried again";
}

TEST_F(SubmissionDeskTest, AnUnknownOutcomeKeepsTheIdAndEndsInOneRun) {
  const Answer answer = Submit();
  AnswerStore(absl::UnknownError("connection lost"));
  ASSERT_TRUE(*answer);
  EXPECT_TRUE(absl::IsUnknown((*answer)->status()));
  EXPECT_TRUE(desk_->IsPending(JobId::FromKey("job")));
  const Answer again = Submit();
  EXPECT_FALSE(*again) << "it waits for the outcome";
  ASSERT_TRUE(scheduler_.RunUntil([&] { return !graphs_->adds.empty(); }, seconds(10)));
  AnswerStore(absl::AlreadyExistsError("it was committed after all"));
  ASSERT_TRUE(*again && (*again)->ok());
  EXPECT_EQ(rm_.DeployAll().size(), 1u);
}

// ZooKeeper applied the first commit and lost its quorum; the second try met another error.
TEST_F(SubmissionDeskTest, NoOtherErrorSettlesAnUnknownOutcome) {
  auto first = Submit();
  AnswerStore(Unknown("no answer"));
  EXPECT_TRUE(absl::IsUnknown((*first)->status()));
  for (const auto& error :
       {Unavailable("not committed"), Unavailable("stored on 1 of 2 replicas")}) {
    scheduler_.AdvanceBy(seconds(1));
    AnswerStore(error);
    EXPECT_TRUE(desk_->IsPending(JobId::FromKey("job"))) << error;
  }
  auto other = Submit("job", "d2");
  EXPECT_TRUE(absl::IsAlreadyExists((*other)->status()));
  scheduler_.AdvanceBy(seconds(1));
  AnswerStore(AlreadyExists("the first was applied"));
  EXPECT_NE(registry_->Find(JobId::FromKey("job")), nullptr);
}

TEST_F(SubmissionDeskTest, WhatWasCommittedIsNotTakenForWhatIsSubmittedNow) {
  auto answer = Submit("job", "d2");
  pb::JobPointer committed;
  committed.set_submission_digest("d1");
  committed.set_graph_digest("g1");
  graphs_->committed = committed;
  AnswerStore(AlreadyExists("an earlier try"));
  EXPECT_TRUE(absl::IsAlreadyExists((*answer)->status()));
  ASSERT_NE(registry_->Find(JobId::FromKey("job")), nullptr);
  EXPECT_EQ(registry_->Find(JobId::FromKey("job"))->submission_digest(), "d1");
}

TEST_F(SubmissionDeskTest, AResultThatLandsBetweenTheLookAndTheCommitIsBelieved) {
  const Answer answer = Submit();
  results_->results[JobId::FromKey("job")].set_submission_digest("d1");
  AnswerStore(absl::AlreadyExistsError("a result stands there"));
  ASSERT_TRUE(*answer && (*answer)->ok());
  EXPECT_TRUE((**answer)->already_known);
  EXPECT_TRUE(rm_.DeployAll().empty()) << "it never runs again";
}

TEST_F(SubmissionDeskTest, ARefusedStoreLeavesNothingBehind) {
  const Answer answer = Submit();
  AnswerStore(absl::UnavailableError("stored on 1 of 2 required replicas"));
  EXPECT_TRUE(absl::IsUnavailable((*answer)->status()));
  EXPECT_FALSE(desk_->IsPending(JobId::FromKey("job")));
  const Answer again = Submit();
  Stored();
  EXPECT_TRUE((*again)->ok());
}

TEST_F(SubmissionDeskTest, AdmissionIsBounded) {
  Submit("a");
  Submit("b");
  EXPECT_TRUE(absl::IsResourceExhausted((*Submit("c"))->status()));
  Stored();
  EXPECT_FALSE(*Submit("c")) << "there is room again";
}

TEST_F(SubmissionDeskTest, AFullHistoryRefusesNewJobs) {
  results_->is_full = true;
  EXPECT_TRUE(absl::IsResourceExhausted((*Submit())->status()));
}

}  // namespace
}  // namespace baton
