// The drill's judgement, on traces and submissions that are written by hand.

#include <fstream>

#include "cli/cluster/process.h"
#include "cli/drill/drill_jobs.h"
#include "cli/drill/fault.h"
#include "cli/drill/judge.h"
#include "cli/drill/report.h"
#include "cli/drill/start_trace.h"
#include "cli/drill/submission_log.h"
#include "gtest/gtest.h"
#include "job/job_graph.h"
#include "nlohmann/json.hpp"
#include "rest/client/wait.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using Ids = std::vector<std::string>;

TEST(StartTrace, FindsWhatWasLost) {
  StartTrace trace("");
  trace.Consume("a 0 11 1000 /w\nb 0 12 2000 /w\n");
  EXPECT_EQ(trace.Missing({"a", "b"}), Ids{});
  EXPECT_EQ(trace.Missing({"a", "b", "c"}), Ids{"c"});
}

TEST(StartTrace, FindsWhatRanTwice) {
  StartTrace trace("");
  trace.Consume("a 0 11 1000 /w\nb 0 12 2000 /w\n");
  EXPECT_EQ(trace.Repeated(), Ids{});
  EXPECT_EQ(trace.ExtraStarts(), 0u);
  trace.Consume("a 0 13 3000 /w\n");
  EXPECT_EQ(trace.Repeated(), Ids{"a"});
  EXPECT_EQ(trace.ExtraStarts(), 1u);
  EXPECT_EQ(trace.StartsOf("a"), 2u);
  EXPECT_EQ(trace.StartsOf("b"), 1u);
}

TEST(StartTrace, FindsALongTaskThatWasRestarted) {
  StartTrace trace("");
  trace.Consume("0 0 11 1000 /w\n1 0 12 1000 /w\n");
  EXPECT_EQ(trace.DistinctIds(), 2u);
  trace.Consume("1 1 15 9000 /w\n");
  EXPECT_EQ(trace.DistinctIds(), 2u);
  EXPECT_EQ(trace.Repeated(), Ids{"1"});
}

TEST(StartTrace, WaitsForTheEndOfALine) {
  StartTrace trace("");
  EXPECT_EQ(trace.Consume("a 0 11 1000 /w\nb 0 1"), 15u);
  EXPECT_EQ(trace.Missing({"b"}), Ids{"b"});
  EXPECT_EQ(trace.malformed(), 0u);
}

TEST(StartTrace, CountsLinesThatAreNone) {
  StartTrace trace("");
  trace.Consume("a 0 11 /w\nb x 11 1000 /w\nc 0 11 1000\n\nd 0 11 1000 /a directory\n");
  EXPECT_EQ(trace.malformed(), 4u);
  EXPECT_EQ(trace.DistinctIds(), 1u);
  EXPECT_EQ(trace.starts().at("d").front().place, "/a directory");
}

TEST(StartTrace, ReadsAFileThatGrows) {
  const TemporaryDirectory place;
  const std::string path = place.path() + "/trace";
  StartTrace trace(path);
  trace.Refresh();
  EXPECT_EQ(trace.DistinctIds(), 0u);
  std::ofstream file(path);
  file << "a 0 1 1 /w\nb 0" << std::flush;
  trace.Refresh();
  EXPECT_EQ(trace.DistinctIds(), 1u);
  file << " 2 2 /w\n" << std::flush;
  trace.Refresh();
  trace.Refresh();
  EXPECT_EQ(trace.StartsOf("a"), 1u);
  EXPECT_EQ(trace.StartsOf("b"), 1u);
}

Repetitions Judge(const std::string& lines, const std::vector<WorkerLoss>& losses,
                  std::optional<std::chrono::nanoseconds> longest_run = std::nullopt) {
  StartTrace trace("");
  trace.Consume(lines);
  EXPECT_EQ(trace.malformed(), 0u);
  const Repetitions found = JudgeRepetitions(trace, losses, longest_run);
  EXPECT_EQ(found.expected + found.unexpected, trace.ExtraStarts());
  return found;
}

constexpr char kTwice[] = "a 0 1 1000000000 /c/tm-1/work/x\na 1 2 9000000000 /c/tm-2/work/x\n";

TEST(JudgeRepetitions, WithoutALossNoneIsExpected) { EXPECT_EQ(Judge(kTwice, {}).unexpected, 1u); }

TEST(JudgeRepetitions, ATaskThatDiedWithItsWorkerRunsAgain) {
  EXPECT_EQ(Judge(kTwice, {{"/c/tm-1", 5'000'000'000}}).expected, 1u);
}

TEST(JudgeRepetitions, ATaskOfAnotherWorkerDoesNot) {
  EXPECT_EQ(Judge(kTwice, {{"/c/tm-2", 5'000'000'000}}).unexpected, 1u);
  EXPECT_EQ(Judge(kTwice, {{"/c/tm", 5'000'000'000}}).unexpected, 1u);  // no more than a prefix
}

TEST(JudgeRepetitions, ATaskThatRanAgainBeforeItsWorkerDiedDoesNot) {
  EXPECT_EQ(Judge(kTwice, {{"/c/tm-1", 9'500'000'000}}).unexpected, 1u);
}

TEST(JudgeRepetitions, ATaskThatBeganAfterTheDeathDoesNot) {
  const std::string later = "a 0 1 7000000000 /c/tm-1/work/x\na 1 2 9000000000 /c/tm-2/work/x\n";
  EXPECT_EQ(Judge(later, {{"/c/tm-1", 5'000'000'000}}).unexpected, 1u);
}

TEST(JudgeRepetitions, OneDeathExplainsOneRepetitionOfATask) {
  const std::string thrice = std::string(kTwice) + "a 2 3 9900000000 /c/tm-2/work/x\n";
  const Repetitions found = Judge(thrice, {{"/c/tm-1", 5'000'000'000}});
  EXPECT_EQ(found.expected, 1u);
  EXPECT_EQ(found.unexpected, 1u);
}

TEST(JudgeRepetitions, AShortTaskThatHadLongEndedDoesNotRunAgain) {
  const std::vector<WorkerLoss> losses = {{"/c/tm-1", 5'000'000'000}};
  EXPECT_EQ(Judge(kTwice, losses, std::chrono::seconds(3)).unexpected, 1u);
  EXPECT_EQ(Judge(kTwice, losses, std::chrono::seconds(5)).expected, 1u);
}

TEST(Fault, HasANameOfItsOwn) {
  for (const FaultKind& kind : AllFaults()) {
    EXPECT_EQ(FaultNamed(kind.name), kind.fault);
    EXPECT_STREQ(KindOf(kind.fault).name, kind.name);
    EXPECT_NE(FaultNames().find(kind.name), std::string::npos);
  }
  EXPECT_EQ(FaultNamed("flood"), std::nullopt);
}

class SubmissionLogTest : public testing::Test {
 protected:
  void Answer(int at_ms, bool acknowledged, const std::string& replica = "r1") {
    Submission submission;
    submission.id = std::to_string(at_ms);
    submission.answered = start_ + milliseconds(at_ms);
    submission.acknowledged = acknowledged;
    submission.replica = replica;
    submission.error = acknowledged ? "" : "502";
    log_.Add(submission);
  }
  int64_t Gap(int from_ms, int until_ms) const {
    const auto gap =
        log_.LongestGap(start_ + milliseconds(from_ms), start_ + milliseconds(until_ms));
    return std::chrono::duration_cast<milliseconds>(gap).count();
  }

  const Clock::time_point start_ = Clock::now();
  SubmissionLog log_;
};

TEST_F(SubmissionLogTest, MeasuresTheGapAroundAKill) {
  for (int at : {0, 50, 100, 350, 400, 450}) Answer(at, true);
  EXPECT_EQ(Gap(120, 460), 250);  // from 100 to 350, although the kill came at 120
  EXPECT_EQ(Gap(360, 460), 50);
  EXPECT_EQ(Gap(0, 90), 50);
}

TEST_F(SubmissionLogTest, AnErrorEndsNoGap) {
  for (int at : {0, 50, 400}) Answer(at, true);
  Answer(200, false);
  EXPECT_EQ(Gap(60, 410), 350);
  EXPECT_EQ(log_.errors(), 1u);
  EXPECT_EQ(log_.acknowledged(), 3u);
  EXPECT_EQ(log_.LastErrors(5), Ids{"200: 502"});
}

TEST_F(SubmissionLogTest, SilenceUntilTheEndIsAGap) {
  for (int at : {0, 50}) Answer(at, true);
  EXPECT_EQ(Gap(60, 2050), 2000);
}

TEST_F(SubmissionLogTest, FindsTheFirstAcknowledgementAfterAnOutage) {
  for (int at : {900, 0, 700}) Answer(at, true);
  Answer(600, false);
  EXPECT_EQ(log_.FirstAcknowledgedAfter(start_ + milliseconds(500)), start_ + milliseconds(700));
  EXPECT_EQ(log_.FirstAcknowledgedAfter(start_ + milliseconds(900)), std::nullopt);
}

TEST_F(SubmissionLogTest, CountsWhoAnswered) {
  Answer(1, true, "r1");
  Answer(2, true, "r2");
  Answer(3, true, "r2");
  Answer(4, false, "r3");
  EXPECT_EQ(log_.AcknowledgedByReplica(), (std::map<std::string, uint64_t>{{"r1", 1}, {"r2", 2}}));
  EXPECT_EQ(log_.AcknowledgedIds(), (Ids{"1", "2", "3"}));
}

TEST(DrillReport, PassesOnlyWithoutLossRepetitionOrRestart) {
  DrillReport report;
  EXPECT_FALSE(report.Passed());  // a drill that broke off proves nothing
  report.complete = true;
  EXPECT_TRUE(report.Passed());
  for (uint64_t DrillReport::*count :
       {&DrillReport::lost, &DrillReport::duplicated, &DrillReport::restarted}) {
    report.*count = 1;
    EXPECT_FALSE(report.Passed());
    report.*count = 0;
  }
}

TEST(DrillReport, HasItsFields) {
  DrillReport report;
  report.rounds.push_back({"replica-1", "SIGKILL", 1, 2, 12.34, -1, 56.78, 0, 0, 3});
  report.requests_per_replica = {{"replica-2", 7}};
  const auto json = nlohmann::json::parse(ToJson(report));
  for (const char* key :
       {"fault", "sessionTimeoutMs", "rounds", "submitted", "acknowledged", "requestsPerReplica",
        "lost", "duplicated", "restarted", "expectedDuplicates", "expectedRestarts", "passed"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json.size(), 12u);
  const auto& round = json["rounds"][0];
  EXPECT_EQ(round.size(), 10u);
  EXPECT_EQ(round["victim"], "replica-1");
  EXPECT_EQ(round["done"], "SIGKILL");
  EXPECT_EQ(round["recoveryMs"], -1);
  EXPECT_EQ(round["expectedRestarts"], 3);
  EXPECT_EQ(round["epochAfter"], 2);
  report.fault = "kill";  // has the names that it had when it was the only one
  const auto killed = nlohmann::json::parse(ToJson(report))["rounds"][0];
  EXPECT_EQ(killed.size(), 12u);
  EXPECT_EQ(killed["killed"], "replica-1");
  EXPECT_EQ(killed["exitStatus"], "SIGKILL");
  EXPECT_EQ(round["newEpochMs"], 12.3);
  EXPECT_EQ(round["ackGapMs"], 56.8);
}

TEST(DrillJobs, AreJobsThatValidationAccepts) {
  JobProblems problems;
  const auto long_job = ParseJobGraphJson(LongJobJson("run", 20), JobLimits(), &problems);
  ASSERT_TRUE(long_job.has_value()) << problems.problems.at(0);
  EXPECT_EQ(long_job->graph->TotalSubtasks(), 20u);
  const auto small = ParseJobGraphJson(SmallJobJson("run"), JobLimits(), &problems);
  ASSERT_TRUE(small.has_value()) << problems.problems.at(0);
  EXPECT_EQ(small->graph->TotalSubtasks(), 1u);
}

// What a task writes is what the judge reads.
TEST(DrillJobs, WriteLinesThatTheJudgeReads) {
  const TemporaryDirectory place;
  const std::string& directory = place.path();
  JobProblems problems;
  const auto job = ParseJobGraphJson(SmallJobJson("."), JobLimits(), &problems);
  ASSERT_TRUE(job.has_value());
  SpawnSpec spec;
  spec.argv = job->graph->vertices[0].command;
  spec.argv[0] = "/bin/sh";
  spec.env = {{"BATON_SHARED_DIR", directory},
              {"BATON_JOB_ID", "the-id"},
              {"BATON_ATTEMPT", "0"},
              {"BATON_WORK_DIR", "/some where"}};
  spec.directory = "/";
  spec.log_file = "/dev/null";
  auto process = Spawn(spec);
  ASSERT_TRUE(process.ok()) << process.status();
  StartTrace trace(directory + "/small");
  ASSERT_TRUE(WaitUntil(
      [&] {
        trace.Refresh();
        return trace.DistinctIds() == 1;
      },
      Clock::now() + std::chrono::seconds(30)));
  EXPECT_EQ(trace.StartsOf("the-id"), 1u);
  EXPECT_EQ(trace.malformed(), 0u);
}

}  // namespace
}  // namespace baton
