// Without ZooKeeper: one process is the cluster, and it dies and comes back (P1 of the process).

#include <csignal>
#include <filesystem>
#include <map>

#include "base/fault_point.h"
#include "cli/cluster/ports.h"
#include "cli/cluster/process.h"
#include "fmt/core.h"
#include "integration/cluster_test.h"
#include "integration/embedded_fixture.h"

namespace baton::integration {
namespace {

// ---- A submission, and the process dies

class F1EmbeddedProcessDiesAtEachStep : public EmbeddedFixture,
                                        public testing::WithParamInterface<std::string> {};

TEST_P(F1EmbeddedProcessDiesAtEachStep, WhatWasAcknowledgedIsThereAndRunsToItsEnd) {
  const absl::Status started = Start({}, {{"BATON_FAULT_POINT", GetParam()}});
  const std::string job = NewJobId();
  bool acknowledged = false;
  if (started.ok()) {
    const auto reply = Put(job, QuickJob());
    acknowledged = reply.ok() && reply->status / 100 == 2;
    ASSERT_TRUE(AwaitDeath());
  }  // else it died before it served
  ASSERT_TRUE(Start().ok());
  if (acknowledged) {
    EXPECT_NE(JobState(job), "");
  }
  const auto again = Put(job, QuickJob());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->status / 100, 2) << again->body;
  EXPECT_TRUE(Becomes(job, "FINISHED")) << JobState(job);
  // A task that had been started is lost with the process and is tried again; none ran to its end
  // and then once more unless the process died before it could know. (It did not know how often the
  // task had been tried, either: both attempts may bear one number, decision 0006.)
  EXPECT_LE(traces().Starts(job).size(), GetParam().starts_with("submission.") ? 1u : 2u);
  EXPECT_GE(traces().Ends(job).size(), 1u);
}

std::vector<std::string> StepsOfASubmission() {
  return {"submission.before-store",      "submission.stored-locally", "submission.replicated",
          "submission.pointer-committed", "submission.answered",       "deployment.sent"};
}

// The first of them belong to the start of a new cluster, the last to the submission.
std::vector<std::string> StepsOfTheJournal() {
  std::vector<std::string> steps;
  for (int write = 1; write <= 6; ++write) {
    steps.push_back(fmt::format("journal.before-write:{}", write));
    steps.push_back(fmt::format("journal.written:{}", write));
  }
  return steps;
}

std::string StepName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (!isalnum(c)) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Submission, F1EmbeddedProcessDiesAtEachStep,
                         testing::ValuesIn(StepsOfASubmission()), StepName);
INSTANTIATE_TEST_SUITE_P(Journal, F1EmbeddedProcessDiesAtEachStep,
                         testing::ValuesIn(StepsOfTheJournal()), StepName);

// ---- Jobs that run, and the process dies

class F1EmbeddedProcessIsKilled : public EmbeddedFixture {
 protected:
  // Each subtask is lost once, without a restart strategy, and finishes in its second attempt.
  void ExpectGoesOn(const std::string& job, size_t tasks) {
    EXPECT_TRUE(Eventually([&] { return traces().Starts(job).size() == 2 * tasks; }));
    EXPECT_EQ(JobState(job), "RUNNING");
    traces().Release(job);
    EXPECT_TRUE(Becomes(job, "FINISHED")) << JobState(job);
    EXPECT_EQ(traces().Starts(job).size(), 2 * tasks);
    EXPECT_EQ(traces().Ends(job).size(), tasks);
  }
};

TEST_F(F1EmbeddedProcessIsKilled, JobsGoOnOnNewPortsFinishedOnesStayFinishedAndNoTaskIsLeft) {
  ASSERT_TRUE(Start().ok());
  const std::string finished = NewJobId();
  ASSERT_TRUE(Put(finished, QuickJob()).ok());
  ASSERT_TRUE(Becomes(finished, "FINISHED"));
  const std::string held = StartHeldJob(3);
  KillProcess();
  EXPECT_TRUE(AllGone(held));
  EXPECT_EQ(traces().Starts(held).size(), 3u);

  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(JobState(finished), "FINISHED");
  ExpectGoesOn(held, 3);
  EXPECT_EQ(traces().Starts(finished).size(), 1u);
  EXPECT_EQ(Put(finished, QuickJob())->status, 200);
}

TEST_F(F1EmbeddedProcessIsKilled, JobsGoOnOnTheSamePortsAlsoWhenItWasToldToStop) {
  auto ports = PortReservation::Take(2);
  ASSERT_TRUE(ports.ok());
  const std::vector<std::string> overrides = {fmt::format("rest.port={}", ports->ports()[0]),
                                              fmt::format("rpc.port={}", ports->ports()[1])};
  ports->Release();
  ASSERT_TRUE(Start(overrides).ok());
  const std::string held = StartHeldJob(2);
  process().Stop();
  EXPECT_TRUE(AllGone(held));
  const absl::Status again = Start(overrides);
  ASSERT_TRUE(again.ok()) << again;
  ExpectGoesOn(held, 2);
}

TEST_F(F1EmbeddedProcessIsKilled, ItComesBackAgainAndAgain) {
  std::vector<std::string> jobs;
  for (int life = 0; life < 5; ++life) {
    ASSERT_TRUE(Start().ok());
    for (const std::string& job : jobs) EXPECT_NE(JobState(job), "") << "life " << life;
    for (int i = 0; i < 5; ++i) {
      const std::string job = NewJobId();
      const auto reply = Put(job, QuickJob());
      if (reply.ok() && reply->status == 202) jobs.push_back(job);
    }
    KillProcess();
  }
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(jobs.size(), 25u);
  for (const std::string& job : jobs) EXPECT_TRUE(Becomes(job, "FINISHED")) << JobState(job);
}

// ---- A worker elsewhere

class F1EmbeddedProcessWithAWorkerElsewhere : public EmbeddedFixture {
 protected:
  void SetUp() override {
    EmbeddedFixture::SetUp();
    auto ports = PortReservation::Take(2);
    ASSERT_TRUE(ports.ok());
    rpc_ = ports->ports()[0];
    other_ = ports->ports()[1];
    ports->Release();
    ASSERT_TRUE(Start(Listening(rpc_)).ok());
    SpawnSpec spec;
    const auto binaries = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    spec.argv = {binaries / "baton-taskmanager"};
    for (const std::string& setting :
         {fmt::format("taskmanager.dispatchers=127.0.0.1:{}", rpc_),
          std::string("taskmanager.id=elsewhere"), "process.working-dir=" + directory() + "-worker",
          "taskmanager.shared-directory=" +
              std::filesystem::path(directory()).parent_path().string(),
          std::string("taskmanager.numberOfTaskSlots=4")}) {
      spec.argv.insert(spec.argv.end(), {"-D", setting});
    }
    spec.directory = "/";
    spec.log_file = directory() + "-worker.log";
    spec.lifetime = Lifetime::kWithThisProcess;
    auto worker = Spawn(spec);
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *worker;
  }
  void TearDown() override {
    (void)SendSignal(worker_, SIGKILL);
    EXPECT_TRUE(Eventually([this] { return ReapIfEnded(worker_) || !IsAlive(worker_); }));
    EmbeddedFixture::TearDown();
  }

  static std::vector<std::string> Listening(uint16_t rpc_port) {
    return {fmt::format("rpc.port={}", rpc_port), "dispatcher.embedded-taskmanager=false"};
  }

  uint16_t rpc_ = 0;
  uint16_t other_ = 0;
  ProcessId worker_;
};

// The worker finds that its dispatcher's port refuses, so nobody leads, and keeps its lease (3.6,
// way 2); the next life of the dispatcher adopts the tasks.
TEST_F(F1EmbeddedProcessWithAWorkerElsewhere, ItsTasksRunOnWhileTheDispatcherIsDead) {
  const std::string held = StartHeldJob(2);
  KillProcess();
  ASSERT_TRUE(Start(Listening(rpc_)).ok());
  ASSERT_TRUE(Becomes(held, "RUNNING"));
  traces().Release(held);
  EXPECT_TRUE(Becomes(held, "FINISHED")) << JobState(held);
  EXPECT_EQ(traces().Starts(held).size(), 2u);
  EXPECT_EQ(traces().Ends(held).size(), 2u);
}

TEST_F(F1EmbeddedProcessWithAWorkerElsewhere, AnotherAddressIsRefusedWhileItMayHoldTasks) {
  const std::string held = StartHeldJob(1);
  KillProcess();
  const absl::Status moved = Start(Listening(other_));
  EXPECT_NE(moved.message().find("elsewhere know this dispatcher at"), std::string::npos) << moved;
  ASSERT_TRUE(Start(Listening(rpc_)).ok());
  traces().Release(held);
  EXPECT_TRUE(Becomes(held, "FINISHED"));
  EXPECT_EQ(traces().Starts(held).size(), 1u);
}

// ---- Its disk is damaged while it is down

class EmbeddedStoreTest : public EmbeddedFixture {};

TEST_F(EmbeddedStoreTest, F27ALogThatLostItsEndIsRefusedWithAdviceAndServesAgainWhenPutBack) {
  ASSERT_TRUE(Start().ok());
  const std::string job = NewJobId();
  const auto reply = Put(job, QuickJob());
  ASSERT_TRUE(reply.ok() && reply->status == 202);
  ASSERT_TRUE(Becomes(job, "FINISHED"));
  KillProcess();
  const std::filesystem::path store = directory() + "/store", backup = directory() + "-backup";
  std::filesystem::copy(store, backup, std::filesystem::copy_options::recursive);
  for (const auto& entry : std::filesystem::directory_iterator(store)) {
    if (entry.path().extension() != ".log" || entry.file_size() == 0) continue;
    std::filesystem::resize_file(entry.path(), entry.file_size() - 1);
  }

  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::Status refused = Start();
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.message().find("put back a backup of"), std::string::npos) << refused;
  }
  std::filesystem::remove_all(store);
  std::filesystem::rename(backup, store);
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(JobState(job), "FINISHED");
}

// ---- What a person meets first

class EmbeddedStart : public EmbeddedFixture {};

TEST_F(EmbeddedStart, ASecondProcessInTheDirectoryIsRefusedAndDisturbsNothing) {
  ASSERT_TRUE(Start().ok());
  const std::string held = StartHeldJob(1);
  const auto second = EmbeddedProcess::Start({directory(), {}, {}});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(
      second.status().message().find(fmt::format("belongs to process {}", process().id().pid)),
      std::string::npos)
      << second.status();
  traces().Release(held);
  EXPECT_TRUE(Becomes(held, "FINISHED"));
  EXPECT_EQ(traces().Starts(held).size(), 1u);
}

TEST_F(EmbeddedStart, ATakenPortIsSaidToBeTaken) {
  ASSERT_TRUE(Start().ok());
  const std::string port = rest().substr(rest().rfind(':') + 1);
  const auto second = EmbeddedProcess::Start({directory() + "2", {"rest.port=" + port}, {}});
  EXPECT_NE(second.status().message().find("choose another one with -D rest.port="),
            std::string::npos)
      << second.status();
}

}  // namespace
}  // namespace baton::integration
