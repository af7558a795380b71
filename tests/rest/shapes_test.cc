// The bodies have every field of the answers recorded from Flink, with its type.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rest/json_shapes.h"
#include "tests/rest/fakes.h"
#include "tests/rest/flink_answers.h"

namespace baton {
namespace {

using nlohmann::json;

constexpr WallMillis kNow = 10'000;

// Where Flink's keys are data or things that only its engine has.
bool IsExempt(const std::string& place) {
  // Concurrent failures are entries of their own here, and there is no JVM.
  return place == "/metrics/garbageCollectors" ||
         place.find("/concurrentExceptions") != std::string::npos;
}

void ExpectCovers(const json& flink, const json& ours, const std::string& place) {
  if (IsExempt(place)) return;
  if (flink.is_object()) {
    ASSERT_TRUE(ours.is_object()) << place;
    for (const auto& [key, value] : flink.items()) {
      ASSERT_TRUE(ours.contains(key)) << place << "/" << key << " is missing";
      ExpectCovers(value, ours[key], place + "/" + key);
    }
  } else if (flink.is_array()) {
    ASSERT_TRUE(ours.is_array()) << place;
    if (flink.empty()) return;
    ASSERT_FALSE(ours.empty()) << place << ": the test needs an entry";
    ExpectCovers(flink[0], ours[0], place + "[0]");
  } else if (flink.is_number() || flink == "NaN") {
    EXPECT_TRUE(ours.is_number()) << place << " is " << ours;
  } else {
    EXPECT_EQ(std::string(flink.type_name()), ours.type_name()) << place;
  }
}

void ExpectShape(const std::string& name, const std::string& ours) {
  SCOPED_TRACE(name);
  ExpectCovers(json::parse(FlinkAnswers().at(name)), json::parse(ours), "");
}

AttemptDetails Attempt() {
  AttemptDetails attempt;
  attempt.attempt = 2;
  attempt.state = ExecutionState::kRunning;
  attempt.task_manager_id = "tm-1";
  attempt.endpoint = "host-1";
  attempt.start = 4000;
  attempt.timestamps = {{ExecutionState::kCreated, 1000},
                        {ExecutionState::kScheduled, 1500},
                        {ExecutionState::kDeploying, 4000},
                        {ExecutionState::kRunning, 7000}};
  return attempt;
}

VertexDetails Vertex() {
  VertexDetails vertex;
  vertex.id = "count";
  vertex.name = "Count words";
  vertex.parallelism = 1;
  vertex.status = ExecutionState::kRunning;
  vertex.start = 4000;
  vertex.tasks[static_cast<size_t>(ExecutionState::kRunning)] = 1;
  vertex.subtasks = {Attempt()};
  return vertex;
}

JobDetails Job() {
  JobDetails job;
  job.overview.id = *JobId::Parse(kJobHex);
  job.overview.name = "words";
  job.overview.status = JobStatus::kFailed;
  job.overview.start = 1000;
  job.overview.end = 5000;
  job.overview.last_modification = 5000;
  job.overview.total_tasks = 2;
  job.overview.tasks[static_cast<size_t>(ExecutionState::kFailed)] = 2;
  job.timestamps = {{JobStatus::kCreated, 1000}, {JobStatus::kFailed, 5000}};
  VertexDetails target = Vertex();
  VertexDetails source = Vertex();
  source.id = "split";
  job.vertices = {target, source};
  auto graph = std::make_shared<JobGraph>();
  graph->vertices.resize(2);
  graph->vertices[0].id = "count";
  graph->vertices[1].id = "split";
  graph->edges = {JobEdge{1, 0, DistributionPattern::kPointwise}};
  job.graph = graph;
  job.exceptions = {{"exit code 3\nlast words", 4500, "Count words (1/1)", "host-1", "tm-1"},
                    {"exit code 2", 4000, "Count words (1/1)", "host-1", "tm-1"}};
  job.failure_cause = "exit code 3";
  job.restart_strategy = "none";
  return job;
}

TaskManagerInfo TaskManager() {
  TaskManagerInfo tm;
  tm.id = "tm-1";
  tm.host = "host-1";
  tm.rpc_address = "host-1:6121";
  tm.liveness_address = "host-1:6122";
  tm.slots = 4;
  tm.free_slots = 1;
  tm.cpu_cores = 8;
  tm.memory_bytes = 4ull << 30;
  tm.last_heartbeat = 9000;
  tm.allocated = {*JobId::Parse(kJobHex)};
  return tm;
}

TEST(ShapesTest, HaveEveryFieldOfFlink) {
  ExpectShape("config", ConfigJson("0.1.0"));
  ExpectShape("overview", OverviewJson(ClusterOverview{}, "0.1.0"));
  ExpectShape("taskmanagers", TaskManagersJson({TaskManager()}));
  ExpectShape("taskmanager", TaskManagerJson(TaskManager()));
  ExpectShape("jobs", JobsJson({Job().overview}));
  ExpectShape("jobs_overview", JobsOverviewJson({Job().overview}, kNow));
  ExpectShape("job", JobDetailsJson(Job(), kNow));
  ExpectShape("plan", JobPlanJson(Job()));
  ExpectShape("status", JobStatusJson(Job()));
  ExpectShape("job_config", JobConfigJson(Job()));
  ExpectShape("exceptions", JobExceptionsJson(Job(), 20));
  ExpectShape("execution_result_failed", JobExecutionResultJson(Job(), kNow));
  ExpectShape("vertex", VertexJson(Vertex(), kNow));
  ExpectShape("subtasktimes", SubtaskTimesJson(Vertex(), kNow));
  ExpectShape("vertex_taskmanagers", VertexTaskManagersJson(Vertex(), kNow));
  ExpectShape("attempt", AttemptJson(Attempt(), kNow));
}

TEST(ShapesTest, AnExecutionResultIsInProgressUntilTheJobHasEnded) {
  JobDetails job = Job();
  job.overview.status = JobStatus::kFailing;
  EXPECT_EQ(JobExecutionResultJson(job, kNow), R"({"status":{"id":"IN_PROGRESS"}})");
  job.overview.status = JobStatus::kFinished;
  json result = json::parse(JobExecutionResultJson(job, kNow));
  EXPECT_EQ(result["job-execution-result"]["application-status"], "SUCCEEDED");
  EXPECT_EQ(result["job-execution-result"]["net-runtime"], 4000);
}

TEST(ShapesTest, DurationsRunUntilNow) {
  json vertex = json::parse(VertexJson(Vertex(), kNow));
  const json& attempt = vertex["subtasks"][0];
  EXPECT_EQ(attempt["duration"], 6000);
  EXPECT_EQ(attempt["end-time"], -1);
  EXPECT_EQ(attempt["status-duration"]["CREATED"], 500);
  EXPECT_EQ(attempt["status-duration"]["SCHEDULED"], 2500);
  EXPECT_EQ(attempt["status-duration"]["INITIALIZING"], -1);
  EXPECT_EQ(attempt["status-duration"]["RUNNING"], 3000);
}

TEST(ShapesTest, WhatHasNotStartedHasNoDuration) {
  JobOverview job;
  json body = json::parse(JobsOverviewJson({job}, kNow));
  EXPECT_EQ(body["jobs"][0]["duration"], -1);
  EXPECT_EQ(body["jobs"][0]["start-time"], -1);
}

TEST(ShapesTest, ExceptionsAreCutToTheNumberAskedFor) {
  json body = json::parse(JobExceptionsJson(Job(), 1));
  EXPECT_EQ(body["exceptionHistory"]["entries"].size(), 1u);
  EXPECT_EQ(body["exceptionHistory"]["truncated"], true);
  EXPECT_EQ(body["exceptionHistory"]["entries"][0]["exceptionName"], "exit code 3");
}

TEST(ShapesTest, APlanWithoutAGraphHasNoInputs) {
  JobDetails job = Job();
  job.graph = nullptr;
  json nodes = json::parse(JobPlanJson(job))["plan"]["nodes"];
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_FALSE(nodes[0].contains("inputs"));
}

TEST(ShapesTest, BytesThatAreNoTextDoNotBreakTheBody) {
  JobDetails job = Job();
  job.failure_cause = std::string("\xff\x00\xfe", 3);
  EXPECT_TRUE(json::accept(JobExceptionsJson(job, 20)));
}

TEST(ShapesTest, ReplicasShowMembersThatAreGone) {
  LeadershipView view;
  view.leader = LeaderOf("a", 3);
  pb::ReplicaRecord alive;
  alive.set_replica_id("a");
  alive.set_incarnation("a-life");
  view.replicas.push_back(alive);
  view.members.add_members()->set_replica_id("a");
  view.members.add_members()->set_replica_id("b");
  json body = json::parse(ReplicasJson(view));
  ASSERT_EQ(body["replicas"].size(), 2u);
  EXPECT_EQ(body["replicas"][0]["leader"], true);
  EXPECT_EQ(body["replicas"][1]["id"], "b");
  EXPECT_EQ(body["replicas"][1]["alive"], false);
}

TEST(ShapesTest, AReplicaThatCannotBeReachedIsNotAlive) {
  LeadershipView view;
  for (const char* id : {"a", "b"}) {
    view.replicas.emplace_back().set_replica_id(id);
    view.members.add_members()->set_replica_id(id);
  }
  view.members.mutable_members()->RemoveLast();
  view.members.add_retired("b");
  json body = json::parse(ReplicasJson(view, {"b"}));
  EXPECT_EQ(body["replicas"][0]["alive"], true);
  EXPECT_EQ(body["replicas"][1]["alive"], false);
  EXPECT_EQ(body["replicas"][1]["registered"], true) << "its session is not over yet";
  EXPECT_EQ(body["replicas"][1]["member"], false);
  EXPECT_EQ(body["replicas"][1]["retired"], true);
  EXPECT_EQ(body["retired"], json::array({"b"}));
  view.replicas[0].set_rpc_address("elsewhere:1");
  body = json::parse(ReplicasJson(view));
  EXPECT_EQ(body["replicas"][0]["member"], false) << "not yet at that address";
}

TEST(ShapesTest, ATaskManagerShowsWhetherItIsThereAndTakesTasks) {
  TaskManagerInfo tm = TaskManager();
  json body = json::parse(TaskManagerJson(tm));
  EXPECT_EQ(body["status"], "connected");
  EXPECT_EQ(body["draining"], false);
  EXPECT_EQ(body["drainDeadline"], -1);
  tm.link = TaskManagerInfo::Link::kDisconnected;
  tm.drain = DrainInfo{12'000};
  body = json::parse(TaskManagerJson(tm));
  EXPECT_EQ(body["status"], "disconnected");
  EXPECT_EQ(body["draining"], true);
  EXPECT_EQ(body["drainDeadline"], 12'000);
}

}  // namespace
}  // namespace baton
