// The pieces of a run of chaos that need no cluster: its plan, its jobs, what it reads of the tasks
// and how it watches them.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>

#include "cli/chaos/chaos_jobs.h"
#include "cli/chaos/chaos_report.h"
#include "cli/chaos/numbers.h"
#include "cli/chaos/plan.h"
#include "cli/chaos/task_witness.h"
#include "fmt/core.h"
#include "gtest/gtest.h"
#include "job/job_graph.h"
#include "nlohmann/json.hpp"
#include "rest/client/wait.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

using std::chrono::milliseconds;

constexpr ChaosPlan::Times kTimes{milliseconds(5000), milliseconds(12'000)};

std::string Rounds(uint64_t seed, int count) {
  ChaosPlan plan(seed, kTimes);
  std::string text;
  for (int i = 0; i < count; ++i) {
    const PlannedRound round = plan.Next();
    text += fmt::format("{}, {} ms\n", round.Describe(), round.rest.count());
  }
  return text;
}

TEST(ChaosPlanTest, IsAFunctionOfItsSeed) {
  EXPECT_EQ(Rounds(7, 50), Rounds(7, 50));
  EXPECT_NE(Rounds(7, 50), Rounds(8, 50));
}

TEST(ChaosPlanTest, DoesEveryFaultBeforeAnyAgain) {
  ChaosPlan plan(3, kTimes);
  std::vector<ChaosKind> kinds;
  while (kinds.size() < AllChaos().size()) {
    for (const PlannedFault& fault : plan.Next().faults) kinds.push_back(fault.kind);
  }
  kinds.resize(AllChaos().size());
  // Within a round faults stand in the order of their beginning: the last round may reach into the
  // next turn.
  EXPECT_GE(std::set(kinds.begin(), kinds.end()).size(), AllChaos().size() - 1);
}

TEST(ChaosPlanTest, CutsAWorkerOffForLongerThanItsLease) {
  ChaosPlan plan(1, kTimes);
  for (int i = 0; i < 200; ++i) {
    for (const PlannedFault& fault : plan.Next().faults) {
      if (fault.kind == ChaosKind::kWorkerCutLong) {
        EXPECT_GT(fault.lasts, kTimes.lease);
      } else if (fault.kind == ChaosKind::kWorkerCut) {
        EXPECT_LT(fault.lasts, kTimes.lease);
      }
    }
  }
}

TEST(ChaosPlanTest, DoesOnlyWhatItMay) {
  const auto kinds = ChaosKindsNamed("worker-kill,leader-disk-full,worker-kill");
  ASSERT_TRUE(kinds.ok()) << kinds.status();
  EXPECT_EQ(*kinds, (std::vector{ChaosKind::kWorkerKill, ChaosKind::kLeaderDiskFull}));
  ChaosPlan plan(1, kTimes, *kinds);
  std::set<ChaosKind> done;
  for (int i = 0; i < 50; ++i) {
    const PlannedRound round = plan.Next();
    EXPECT_LE(round.faults.size(), 2u);
    for (const PlannedFault& fault : round.faults) done.insert(fault.kind);
  }
  EXPECT_EQ(done, (std::set{ChaosKind::kWorkerKill, ChaosKind::kLeaderDiskFull}));

  ChaosPlan alone(1, kTimes, {ChaosKind::kLeaderSession});
  for (int i = 0; i < 50; ++i) EXPECT_EQ(alone.Next().faults.size(), 1u);
}

TEST(ChaosPlanTest, SaysWhichNamesThereAre) {
  const auto wrong = ChaosKindsNamed("leader-kill,leader-kil");
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInvalidArgument);
  for (const ChaosTrait& trait : AllChaos()) {
    EXPECT_NE(wrong.status().message().find(trait.name), std::string::npos) << trait.name;
  }
  EXPECT_FALSE(ChaosKindsNamed("").ok());
  EXPECT_FALSE(ChaosKindsNamed("leader-kill,,worker-kill").ok());
}

// A kind whose trait is missing, or stands twice, would be drawn, and not be found.
TEST(ChaosPlanTest, EveryKindHasOneTrait) {
  std::set<ChaosKind> kinds;
  std::set<std::string> names;
  for (const ChaosTrait& trait : AllChaos()) {
    kinds.insert(trait.kind);
    names.insert(trait.name);
  }
  EXPECT_EQ(kinds.size(), AllChaos().size());
  EXPECT_EQ(names.size(), AllChaos().size());
  EXPECT_EQ(kinds.size(), static_cast<size_t>(*kinds.rbegin()) + 1);
}

TEST(ChaosJobs, AreJobsAndAsPlanned) {
  const RandomPtr random = NewSeededRandom(1);
  for (const JobKind kind : {JobKind::kShort, JobKind::kTimed, JobKind::kGraph, JobKind::kFailing,
                             JobKind::kCancelled, JobKind::kLong}) {
    const ChaosJob job = MakeChaosJob(kind, "trace", *random);
    JobProblems problems;
    EXPECT_TRUE(ParseJobGraphJson(job.json, JobLimits(), &problems)) << job.json;
    EXPECT_EQ(job.planned.kind, kind);
    const auto json = nlohmann::json::parse(job.json);
    ASSERT_EQ(json.at("vertices").size(), job.planned.vertices.size());
    for (size_t i = 0; i < job.planned.vertices.size(); ++i) {
      EXPECT_EQ(json.at("vertices")[i].at("id"), job.planned.vertices[i].id);
      EXPECT_EQ(json.at("vertices")[i].at("parallelism"), job.planned.vertices[i].parallelism);
    }
  }
}

constexpr char kDirectory[] = "/d/taskmanager-2/work/tasks/j/0/1/0-e7/work";

TEST(TaskTraceTest, ReadsWhatATaskWrites) {
  TaskTrace trace;
  const std::string start = fmt::format("start j v 1 0 42 1000 {}\n", kDirectory);
  trace.Consume(start);
  ASSERT_EQ(trace.runs().size(), 1u);
  const TaskRun& run = trace.runs()[0];
  EXPECT_EQ(run.name, (SubtaskName{"j", "v", 1}));
  EXPECT_EQ(run.worker, "taskmanager-2");
  EXPECT_EQ(run.epoch, 7u);
  EXPECT_EQ(run.pid, 42);
  EXPECT_EQ(run.started_ns, 1'000'000);
  EXPECT_EQ(run.end, TaskEnd::kUnknown);
  trace.Consume(fmt::format("alive j v 1 0 42 2000 {}\n", kDirectory));
  EXPECT_EQ(trace.runs()[0].alive_ns, 2'000'000);
  EXPECT_EQ(trace.FinishedOf("j"), 0u);
  trace.Consume(fmt::format("end j v 1 0 42 3000 {}\n", kDirectory));
  EXPECT_EQ(trace.runs()[0].alive_ns, 3'000'000);
  EXPECT_EQ(trace.runs()[0].end, TaskEnd::kFinished);
  EXPECT_EQ(trace.FinishedOf("j"), 1u);
  EXPECT_EQ(trace.malformed(), 0u);
}

TEST(TaskTraceTest, TellsProcessesOfOneAttemptApart) {
  TaskTrace trace;
  trace.Consume(fmt::format("start j v 1 0 42 1000 {0}\nstart j v 1 0 43 1500 {0}\n", kDirectory));
  EXPECT_EQ(trace.runs().size(), 2u);
}

TEST(TaskTraceTest, WaitsForTheEndOfALineAndCountsWhatIsNone) {
  TaskTrace trace;
  EXPECT_EQ(trace.Consume("start j v"), 0u);
  trace.Consume("start j v 1 0 42 1000 /nowhere\nwhat\n");
  trace.Consume(fmt::format("end j v 1 0 42 1000 {}\n", kDirectory));  // without a start
  EXPECT_EQ(trace.malformed(), 3u);
}

// A process with this job in its environment, as a task has.
pid_t StartTask(const std::string& job) {
  const std::string variable = "BATON_JOB_ID=" + job;
  const pid_t pid = fork();
  if (pid == 0) {
    const char* argv[] = {"sleep", "1000", nullptr};
    const char* env[] = {variable.c_str(), nullptr};
    execve("/bin/sleep", const_cast<char**>(argv), const_cast<char**>(env));
    _exit(127);
  }
  return pid;
}

TEST(TaskWitnessTest, KnowsWhoLivesAndUntilWhen) {
  const TemporaryDirectory place;
  const std::string file = place.path() + "/lines";
  TaskWitness witness(file);
  const pid_t pid = StartTask("j");
  const auto is_task = [pid] {  // it has executed what it is
    std::ifstream environment("/proc/" + std::to_string(pid) + "/environ");
    std::string text;
    return std::getline(environment, text) && text.starts_with("BATON_JOB_ID=j");
  };
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  ASSERT_TRUE(WaitUntil(is_task, deadline));
  const int64_t started = WallNs();
  std::ofstream(file) << fmt::format("start j v 1 0 {} {} {}\n", pid, started / 1000, kDirectory);
  EXPECT_TRUE(WaitUntil([&] { return witness.Living("j") == 1; }, deadline));
  const auto seen = [&] { return witness.Runs().at(0).alive_ns; };
  EXPECT_TRUE(WaitUntil([&] { return seen() > started; }, deadline));
  const int64_t killed = WallNs();
  EXPECT_TRUE(WaitUntil([&] { return seen() > killed; }, deadline)) << "it lives";
  kill(pid, SIGKILL);
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
  const int64_t dead = WallNs();
  EXPECT_TRUE(WaitUntil([&] { return witness.Living("j") == 0; }, deadline));
  EXPECT_LT(seen(), dead) << "nothing dead was ever seen alive";
  EXPECT_EQ(witness.unseen(), 0u);
}

// Somebody else has the pid by now: only the lines are known.
TEST(TaskWitnessTest, DoesNotTakeAnotherProcessForATask) {
  const TemporaryDirectory place;
  const std::string file = place.path() + "/lines";
  std::ofstream(file) << fmt::format("start j v 1 0 {} 1000 {}\n", getpid(), kDirectory);
  TaskWitness witness(file);
  EXPECT_TRUE(
      WaitUntil([&] { return witness.unseen() == 1; }, Clock::now() + std::chrono::seconds(30)));
  EXPECT_EQ(witness.Living("j"), 0u);
  EXPECT_EQ(witness.Runs().at(0).alive_ns, 1'000'000);
}

TEST(Numbers, AreQuantiles) {
  EXPECT_EQ(Quantile({}, 0.5), 0);
  EXPECT_EQ(Quantile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(Quantile({3, 1, 2}, 0.99), 3);
  EXPECT_EQ(Quantile({3, 1, 2}, 0), 1);
}

TEST(ChaosReportTest, SaysWhatHolds) {
  ChaosReport report;
  report.complete = true;
  ChaosRound round;
  round.kinds = {"leader-kill"};
  round.faults = {"leader-kill: r1 got SIGKILL"};
  round.gap_ms = 321;
  report.rounds.push_back(round);
  round.kinds = {"leader-disk-full"};
  round.left_out = round.kinds;
  round.gap_ms = 654;
  report.rounds.push_back(round);
  report.fault_counts = {{"leader-kill", 1}, {"leader-disk-full", 0}};
  report.verdicts = {{"I1", "there", 3, 0, {}}, {"I5", "one", 3, 0, {"two of them"}}};
  EXPECT_FALSE(report.Passed());
  const auto json = nlohmann::json::parse(ToJson(report));
  EXPECT_EQ(json.at("passed"), false);
  EXPECT_EQ(json.at("verdicts")[1].at("violations")[0], "two of them");
  const std::string text = ToMarkdown(report);
  EXPECT_NE(text.find("two of them"), std::string::npos);
  EXPECT_NE(text.find("| leader-kill | F1 | 1 | 321 | 321 |"), std::string::npos) << text;
  // What was left out shows no gap as its own.
  EXPECT_NE(text.find("| leader-disk-full | F25 | 0 |  |  |"), std::string::npos) << text;
  report.verdicts.pop_back();
  EXPECT_TRUE(report.Passed());
  report.complete = false;
  EXPECT_FALSE(report.Passed());
}

}  // namespace
}  // namespace baton
