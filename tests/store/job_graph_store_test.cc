#include "store/job_graph_store.h"

#include <gtest/gtest.h>

#include <map>

#include "base/fault_point.h"
#include "tests/store/leader_fixture.h"

namespace baton {
namespace {

using Code = absl::StatusCode;

class JobGraphStoreTest : public LeaderFixture {
 protected:
  JobGraphStoreTest() { Prepare(); }

  absl::StatusOr<JobGraphPtr> Load(const pb::JobPointer& pointer) {
    return Run<absl::StatusOr<JobGraphPtr>>(
        [&](auto done) { graphs_->LoadGraph(pointer, std::move(done)); });
  }
};

TEST_F(JobGraphStoreTest, PrepareMakesEveryFolderAndMayBeRepeated) {
  for (const char* folder : {"jobs/0", "jobs/f", "results/0", "results/7", "roster"}) {
    EXPECT_TRUE(Exists("/baton/c/" + std::string(folder))) << folder;
  }
  Prepare();
  // One that is missing is made, whatever the others.
  ASSERT_TRUE(Run<absl::Status>([&](auto done) {
                other_->Delete("/baton/c/jobs/7", kAnyVersion, std::move(done));
              }).ok());
  Prepare();
  EXPECT_TRUE(Exists("/baton/c/jobs/7"));
}

// Jobs that this version would not see must not be taken for none.
TEST_F(JobGraphStoreTest, ATreeWithTheFoldersOfAnEarlierLayoutIsRefused) {
  const auto make = [&](const std::string& path) {
    return Run<absl::Status>([&](auto done) {
      other_->Create("/baton/c/jobs/" + path, "", NodeKind::kPersistent, std::move(done));
    });
  };
  ASSERT_TRUE(make("notes").ok());
  EXPECT_TRUE(List().ok()) << "somebody's own";
  ASSERT_TRUE(make("ab").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(List().status())) << List().status();
}

TEST_F(JobGraphStoreTest, WhatIsAddedIsListedAndLoaded) {
  const auto added = Add(Id(1), "first");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->epoch(), 1u);
  EXPECT_GT(added->graph_size(), 0u);
  const auto listed = List();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ((*listed)[0].id, Id(1));
  EXPECT_EQ((*listed)[0].pointer->SerializeAsString(), added->SerializeAsString());
  const auto graph = Load(*added);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ((*graph)->name, "first");
}

TEST_F(JobGraphStoreTest, AnIdHasOnePointer) {
  const auto first = Add(Id(1), "first");
  EXPECT_EQ(Add(Id(1), "second").status().code(), Code::kAlreadyExists);
  EXPECT_EQ(Node(paths_.job(Id(1)))->data, first->SerializeAsString());
}

TEST_F(JobGraphStoreTest, AJobThatEndedIsNotAddedAgain) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Commit(Id(1), ResultNow()).ok());
  EXPECT_EQ(Add(Id(1)).status().code(), Code::kAlreadyExists);
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
  EXPECT_TRUE(Exists(paths_.result(Id(1))));
}

TEST_F(JobGraphStoreTest, AddingLeavesNoTraceUnderResults) {
  ASSERT_TRUE(Add(Id(1)).ok());
  EXPECT_FALSE(Exists(paths_.result(Id(1))));
}

TEST_F(JobGraphStoreTest, ALostAnswerIsResolvedNotTakenForADuplicate) {
  server_->DropNextAnswer(client_, EmbeddedCoordinationServer::LostAnswer::kApplied);
  EXPECT_TRUE(Add(Id(1)).ok());
  server_->DropNextAnswer(client_, EmbeddedCoordinationServer::LostAnswer::kNotApplied);
  EXPECT_TRUE(Add(Id(2)).ok());
  EXPECT_EQ(List()->size(), 2u);
}

TEST_F(JobGraphStoreTest, EachVersionHasAGreaterSequence) {
  auto pointer = *Add(Id(1));
  uint64_t last = pointer.sequence();
  for (int i = 0; i < 3; ++i) {
    pointer.set_cancelling(true);  // the caller keeps its own copy, with an old sequence
    ASSERT_TRUE(Update(Id(1), pointer).ok());
    const auto now = *(*List())[0].pointer;
    EXPECT_TRUE(now.cancelling());
    EXPECT_GT(now.sequence(), last);
    last = now.sequence();
  }
  // The next leader goes on above.
  Overwrite("/baton/c/epoch", "2");
  Lead(Epoch{2}, 1);
  pointer = *(*List())[0].pointer;
  ASSERT_TRUE(Update(Id(1), pointer).ok());
  EXPECT_GT((*List())[0].pointer->sequence(), last);
  EXPECT_EQ((*List())[0].pointer->epoch(), 2u);
}

TEST_F(JobGraphStoreTest, NoPointerIsMadeAgainWhereAResultStands) {
  ASSERT_TRUE(Add(Id(1)).ok());
  ASSERT_TRUE(Commit(Id(1), ResultNow()).ok());
  EXPECT_EQ(Update(Id(1), {}).code(), Code::kAlreadyExists);
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
}

TEST_F(JobGraphStoreTest, ADeposedLeaderChangesNothing) {
  auto pointer = *Add(Id(1));
  Overwrite("/baton/c/epoch", "2");
  pointer.set_cancelling(true);
  EXPECT_EQ(Update(Id(1), pointer).code(), Code::kAborted);
  EXPECT_EQ(Add(Id(2)).status().code(), Code::kAborted);
  EXPECT_FALSE(Exists(paths_.job(Id(2))));
  EXPECT_EQ(deposed_, 1);
}

TEST_F(JobGraphStoreTest, AnUnreadablePointerCondemnsOnlyItself) {
  for (int i = 1; i <= 4; ++i) ASSERT_TRUE(Add(Id(i)).ok());
  Overwrite(paths_.job(Id(1)), "\xff\xff garbage");
  Overwrite(paths_.job(Id(2)), "");
  Overwrite(paths_.job(Id(3)), Node(paths_.job(Id(4)))->data);  // another job's
  const auto listed = List();
  ASSERT_TRUE(listed.ok()) << listed.status();
  std::map<JobId, Code> codes;
  for (const auto& found : *listed) codes[found.id] = found.pointer.status().code();
  EXPECT_EQ(codes, (std::map<JobId, Code>{{Id(1), Code::kDataLoss},
                                          {Id(2), Code::kDataLoss},
                                          {Id(3), Code::kDataLoss},
                                          {Id(4), Code::kOk}}));
}

TEST_F(JobGraphStoreTest, AJobThatGoesBetweenListingAndReadingIsLeftOut) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Add(Id(i)).ok());
  std::optional<absl::StatusOr<std::vector<RecoveredPointer>>> listed;
  graphs_->List([&](auto pointers) { listed = std::move(pointers); });
  // Whatever the listing has seen by now, some of it goes.
  for (int step = 0; step < 40; ++step) scheduler_.RunOne();
  for (int i = 0; i < 50; i += 2) {
    other_->Delete(paths_.job(Id(i)), kAnyVersion, [](auto) {});
  }
  ASSERT_TRUE(scheduler_.RunUntil([&] { return listed.has_value(); }, std::chrono::seconds(60)));
  ASSERT_TRUE(listed->ok()) << listed->status();
  EXPECT_GE((*listed)->size(), 25u);
  for (const auto& found : **listed) EXPECT_TRUE(found.pointer.ok());
}

TEST_F(JobGraphStoreTest, ThousandsOfJobsAreListed) {
  constexpr int kJobs = 3'000;
  int added = 0;
  for (int i = 0; i < kJobs; ++i) {
    graphs_->Add(Id(i), Graph("many"), {}, [&](auto pointer) { added += pointer.ok(); });
  }
  ASSERT_TRUE(scheduler_.RunUntil([&] { return added == kJobs; }, std::chrono::seconds(60)));
  EXPECT_EQ(List()->size(), static_cast<size_t>(kJobs));
}

TEST_F(JobGraphStoreTest, WithoutItsCopiesAJobIsNotAdded) {
  replication_.min_copies = 2;
  Overwrite("/baton/c/epoch", "2");
  Lead(Epoch{2}, 1);
  const auto status = Add(Id(1)).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_FALSE(Exists(paths_.job(Id(1))));
}

TEST_F(JobGraphStoreTest, AMissingBlobIsNotFoundAndACorruptOneDataLoss) {
  const auto pointer = *Add(Id(1));
  disk_->FlipBit("job-graph", pointer.graph_digest());
  EXPECT_EQ(Load(pointer).status().code(), Code::kDataLoss);
  disk_->Erase();
  EXPECT_EQ(Load(pointer).status().code(), Code::kNotFound);
}

TEST_F(JobGraphStoreTest, WildBytesInACauseDoNotMakeThePointerUnreadable) {
  auto pointer = *Add(Id(1));
  pointer.set_failing_cause("exit: \xc3\x28 \xff" + std::string(100'000, 'x'));
  ASSERT_TRUE(Update(Id(1), pointer).ok());
  const auto listed = List();
  ASSERT_TRUE((*listed)[0].pointer.ok()) << (*listed)[0].pointer.status();
  EXPECT_TRUE((*listed)[0].pointer->failing_cause().starts_with("exit: ?( ?xxx"));
}

TEST_F(JobGraphStoreTest, APointerTooLargeForAZnodeFailsAlone) {
  auto pointer = *Add(Id(1));
  auto* progress = pointer.add_progress();
  for (uint32_t i = 0; i < 300'000; ++i) {
    progress->add_finished_from(1'000'000 + 2 * i);
    progress->add_finished_to(1'000'001 + 2 * i);
  }
  EXPECT_EQ(Update(Id(1), pointer).code(), Code::kResourceExhausted);
  EXPECT_TRUE((*List())[0].pointer.ok());
  EXPECT_TRUE(Add(Id(2)).ok());
}

TEST_F(JobGraphStoreTest, TheFaultPointsStandInTheirOrder) {
  std::vector<std::string> reached;
  SetFaultPointHandler([&](std::string_view name) { reached.emplace_back(name); });
  ASSERT_TRUE(Add(Id(1)).ok());
  SetFaultPointHandler(nullptr);
  EXPECT_EQ(reached,
            (std::vector<std::string>{"submission.before-store", "submission.stored-locally",
                                      "submission.replicated", "submission.pointer-committed"}));
}

// A process that dies at any step leaves either no pointer, or one whose blob is durable.
TEST_F(JobGraphStoreTest, ADeathAtAnyStepLeavesNoPointerWithoutItsBlob) {
  for (const char* step : {"submission.before-store", "submission.stored-locally",
                           "submission.replicated", "submission.pointer-committed"}) {
    const JobId id = JobId::FromKey(step);
    SetFaultPointHandler([&](std::string_view name) {
      if (name == step) executor_->Kill();
    });
    bool answered = false;
    graphs_->Add(id, Graph(step), {}, [&](auto) { answered = true; });
    scheduler_.AdvanceBy(std::chrono::seconds(30));
    SetFaultPointHandler(nullptr);
    const auto node = Node(paths_.job(id));
    const bool committed = std::string(step) == "submission.pointer-committed";
    EXPECT_EQ(node.ok(), committed) << step;
    if (node.ok()) {
      pb::JobPointer pointer;
      ASSERT_TRUE(pointer.ParseFromString(node->data));
      EXPECT_TRUE(disk_->Has("job-graph", pointer.graph_digest()));
    }
    const auto version = Node("/baton/c/epoch")->stat.version;
    Overwrite("/baton/c/epoch", step);
    Lead(fence_->epoch().Next(), version + 1);
    EXPECT_EQ(Add(id).status().code(), committed ? Code::kAlreadyExists : Code::kOk) << step;
  }
}

TEST_F(JobGraphStoreTest, F16APointerThatSomebodyDeletedIsMadeAgainWithItsFolder) {
  auto pointer = *Add(Id(1));
  for (const auto& path : {paths_.job(Id(1)), paths_.jobs() + "/" + Id(1).Bucket()}) {
    ASSERT_TRUE(Run<absl::Status>([&](auto done) {
                  other_->Delete(path, kAnyVersion, std::move(done));
                }).ok());
  }
  pointer.set_cancelling(true);
  EXPECT_TRUE(Update(Id(1), pointer).ok());
  pb::JobPointer found;
  ASSERT_TRUE(found.ParseFromString(Node(paths_.job(Id(1)))->data));
  EXPECT_TRUE(found.cancelling());
}

TEST_F(JobGraphStoreTest, F16ASubmissionIntoAFolderThatIsGoneMakesIt) {
  const std::string bucket = paths_.results() + "/" + Id(1).Bucket();
  ASSERT_TRUE(Run<absl::Status>([&](auto done) {
                other_->Delete(bucket, kAnyVersion, std::move(done));
              }).ok());
  EXPECT_TRUE(Add(Id(1)).ok());
  EXPECT_TRUE(Exists(bucket));
}

TEST_F(JobGraphStoreTest, F16AJobWhosePointerWasDeletedStillEnds) {
  ASSERT_TRUE(Add(Id(1)).ok());
  for (const auto& path : {paths_.job(Id(1)), paths_.jobs() + "/" + Id(1).Bucket(),
                           paths_.results() + "/" + Id(1).Bucket()}) {
    ASSERT_TRUE(Run<absl::Status>([&](auto done) {
                  other_->Delete(path, kAnyVersion, std::move(done));
                }).ok());
  }
  EXPECT_TRUE(Commit(Id(1), ResultNow()).ok());
  EXPECT_TRUE(Exists(paths_.result(Id(1))));
  EXPECT_TRUE(Commit(Id(1), ResultNow()).ok()) << "a second call finds the first";
}

// A job of a million subtasks of which every other one has finished.
pb::JobPointer WithFragmentedProgress(pb::JobPointer pointer) {
  auto* progress = pointer.add_progress();
  for (uint32_t i = 0; i < 500'000; ++i) {
    progress->add_finished_from(2 * i);
    progress->add_finished_to(2 * i + 1);
  }
  return pointer;
}

TEST_F(JobGraphStoreTest, F17ProgressThatDoesNotFitChangesNothing) {
  const auto pointer = *Add(Id(1));
  const std::string before = Node(paths_.job(Id(1)))->data;
  EXPECT_EQ(Update(Id(1), WithFragmentedProgress(pointer)).code(), Code::kResourceExhausted);
  EXPECT_EQ(Node(paths_.job(Id(1)))->data, before);
}

TEST_F(JobGraphStoreTest, F17ThatAJobIsEndingAlwaysFits) {
  auto pointer = WithFragmentedProgress(*Add(Id(1)));
  pointer.set_cancelling(true);
  ASSERT_TRUE(Update(Id(1), pointer).ok());
  pb::JobPointer found;
  ASSERT_TRUE(found.ParseFromString(Node(paths_.job(Id(1)))->data));
  EXPECT_TRUE(found.cancelling());
  EXPECT_EQ(found.progress_size(), 0);
}

TEST_F(JobGraphStoreTest, F17APointerJustBelowTheLimitIsCommittedAndRead) {
  auto pointer = *Add(Id(1));
  auto* progress = pointer.add_progress();
  while (pointer.ByteSizeLong() < (880u << 10)) {
    for (int i = 0; i < 1000; ++i) {
      const uint32_t n = static_cast<uint32_t>(progress->finished_from_size());
      progress->add_finished_from(2 * n);
      progress->add_finished_to(2 * n + 1);
    }
  }
  ASSERT_TRUE(Update(Id(1), pointer).ok());
  const auto listed = List();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ((*listed)[0].pointer->progress(0).finished_from_size(), progress->finished_from_size());
}

}  // namespace
}  // namespace baton
