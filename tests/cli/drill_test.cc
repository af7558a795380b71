// The drill's judgement, on traces and submissions that are written by hand.

#include <fstream>

#include "cli/cluster/process.h"
#include "cli/drill/drill_jobs.h"
#include "cli/drill/report.h"
#include "cli/drill/start_trace.h"
#include "cli/drill/submission_log.h"
#include "gtest/gtest.h"
#include "job/job_graph.h"
#include "nlohmann/json.hpp"
#include "rest/client/wait.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using Ids = std::vector<std::string>;

TEST(StartTrace, FindsWhatWasLost) {
  StartTrace trace("");
  trace.Consume("a 0 11 1000\nb 0 12 2000\n");
  EXPECT_EQ(trace.Missing({"a", "b"}), Ids{});
  EXPECT_EQ(trace.Missing({"a", "b", "c"}), Ids{"c"});
}

TEST(StartTrace, FindsWhatRanTwice) {
  StartTrace trace("");
  trace.Consume("a 0 11 1000\nb 0 12 2000\n");
  EXPECT_EQ(trace.Repeated(), Ids{});
  EXPECT_EQ(trace.ExtraStarts(), 0u);
  trace.Consume("a 0 13 3000\n");
  EXPECT_EQ(trace.Repeated(), Ids{"a"});
  EXPECT_EQ(trace.ExtraStarts(), 1u);
  EXPECT_EQ(trace.StartsOf("a"), 2u);
  EXPECT_EQ(trace.StartsOf("b"), 1u);
}

TEST(StartTrace, FindsALongTaskThatWasRestarted) {
  StartTrace trace("");
  trace.Consume("0 0 11 1000\n1 0 12 1000\n");
  EXPECT_EQ(trace.DistinctIds(), 2u);
  trace.Consume("1 1 15 9000\n");
  EXPECT_EQ(trace.DistinctIds(), 2u);
  EXPECT_EQ(trace.Repeated(), Ids{"1"});
}

TEST(StartTrace, WaitsForTheEndOfALine) {
  StartTrace trace("");
  EXPECT_EQ(trace.Consume("a 0 11 1000\nb 0 1"), 12u);
  EXPECT_EQ(trace.Missing({"b"}), Ids{"b"});
  EXPECT_EQ(trace.malformed(), 0u);
}

TEST(StartTrace, CountsLinesThatAreNone) {
  StartTrace trace("");
  trace.Consume("a 0 11\nb x 11 1000\nc 0 11 1000 more\n\nd 0 11 1000\n");
  EXPECT_EQ(trace.malformed(), 4u);
  EXPECT_EQ(trace.DistinctIds(), 1u);
}

TEST(StartTrace, ReadsAFileThatGrows) {
  const std::string path = testing::TempDir() + "/trace";
  std::remove(path.c_str());
  StartTrace trace(path);
  trace.Refresh();
  EXPECT_EQ(trace.DistinctIds(), 0u);
  std::ofstream file(path);
  file << "a 0 1 1\nb 0" << std::flush;
  trace.Refresh();
  EXPECT_EQ(trace.DistinctIds(), 1u);
  file << " 2 2\n" << std::flush;
  trace.Refresh();
  trace.Refresh();
  EXPECT_EQ(trace.StartsOf("a"), 1u);
  EXPECT_EQ(trace.StartsOf("b"), 1u);
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
  report.rounds.push_back({"replica-1", "SIGKILL", 1, 2, 12.34, 56.78, 0, 0});
  report.requests_per_replica = {{"replica-2", 7}};
  const auto json = nlohmann::json::parse(ToJson(report));
  for (const char* key : {"sessionTimeoutMs", "rounds", "submitted", "acknowledged",
                          "requestsPerReplica", "lost", "duplicated", "restarted", "passed"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json.size(), 9u);
  const auto& round = json["rounds"][0];
  EXPECT_EQ(round.size(), 8u);
  EXPECT_EQ(round["killed"], "replica-1");
  EXPECT_EQ(round["exitStatus"], "SIGKILL");
  EXPECT_EQ(round["epochAfter"], 2);
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
  const std::string directory = testing::TempDir();
  std::remove((directory + "/small").c_str());
  JobProblems problems;
  const auto job = ParseJobGraphJson(SmallJobJson("."), JobLimits(), &problems);
  ASSERT_TRUE(job.has_value());
  SpawnSpec spec;
  spec.argv = job->graph->vertices[0].command;
  spec.argv[0] = "/bin/sh";
  spec.env = {{"BATON_SHARED_DIR", directory}, {"BATON_JOB_ID", "the-id"}, {"BATON_ATTEMPT", "0"}};
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
