#include <gtest/gtest.h>

#include "base/status.h"
#include "rest/responses.h"
#include "tests/rest/fakes.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kJob = std::string("/jobs/") + kJobHex;
const std::string kLog = kJob + "/vertices/v/subtasks/0/attempts/2/stdout";

class ReadsTest : public testing::Test {
 protected:
  ReadsTest() {
    JobDetails job;
    job.overview.id = *JobId::Parse(kJobHex);
    job.overview.name = "words";
    job.overview.status = JobStatus::kRunning;
    gateway_->job = job;
    VertexDetails vertex;
    vertex.id = "v";
    vertex.subtasks.resize(1);
    vertex.subtasks[0].attempt = 2;
    gateway_->vertex = vertex;
    TaskManagerInfo tm;
    tm.id = "host:1-x";
    gateway_->task_managers = {tm};
  }

  int StatusOf(std::string method, const std::string& target) {
    return world_.Ask(std::move(method), target).status;
  }

  EndpointWorld world_;
  std::shared_ptr<FakeGateway> gateway_ = world_.SelfLeads(1);
};

TEST_F(ReadsTest, EveryPathIsServed) {
  for (const std::string path :
       {"", "/status", "/plan", "/config", "/exceptions", "/exceptions?maxExceptions=1",
        "/execution-result", "/vertices/v", "/vertices/v/subtasktimes", "/vertices/v/taskmanagers",
        "/vertices/v/subtasks/0", "/vertices/v/subtasks/0/attempts/2"}) {
    EXPECT_EQ(StatusOf("GET", kJob + path), 200) << path;
    EXPECT_EQ(StatusOf("HEAD", "/v1" + kJob + path), 200) << path;
  }
  for (const std::string path : {"/jobs", "/jobs/overview", "/overview", "/taskmanagers",
                                 "/taskmanagers/host:1-x", "/taskmanagers/host%3A1-x"}) {
    EXPECT_EQ(StatusOf("GET", path), 200) << path;
  }
  EXPECT_EQ(world_.Ask("GET", kJob + "/status").body, R"({"status":"RUNNING"})");
}

TEST_F(ReadsTest, WhatIsUnknownIs404) {
  EXPECT_EQ(StatusOf("GET", "/jobs/" + std::string(32, 'f')), 404);
  EXPECT_EQ(StatusOf("GET", kJob + "/vertices/nosuch"), 404);
  EXPECT_EQ(StatusOf("GET", kJob + "/vertices/v/subtasks/99"), 404);
  EXPECT_EQ(StatusOf("GET", kJob + "/vertices/v/subtasks/0/attempts/99"), 404);
  EXPECT_EQ(StatusOf("GET", "/taskmanagers/nosuch"), 404);
}

TEST_F(ReadsTest, WhatIsMalformedIs400AndNamed) {
  HttpResponse response = world_.Ask("GET", "/jobs/nothex");
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("jobid"), std::string::npos);
  EXPECT_NE(response.body.find("nothex"), std::string::npos);
  EXPECT_EQ(StatusOf("GET", kJob + "/vertices/v/subtasks/x"), 400);
  EXPECT_EQ(StatusOf("GET", kJob + "/vertices/v/subtasks/-1"), 400);
  EXPECT_EQ(StatusOf("GET", kJob + "/vertices/v/subtasks/0/attempts/4294967296"), 400);
  EXPECT_EQ(StatusOf("GET", kJob + "/exceptions?maxExceptions=many"), 400);
  EXPECT_EQ(StatusOf("GET", kLog + "?offset=-1"), 400);
  EXPECT_EQ(StatusOf("GET", kLog + "?follow=perhaps"), 400);
}

TEST_F(ReadsTest, CancelsWithPatchAndWithTheDashboardsGet) {
  HttpResponse response = world_.Ask("PATCH", kJob + "?mode=cancel");
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.body, "{}");
  EXPECT_EQ(StatusOf("PATCH", kJob), 202);
  EXPECT_EQ(StatusOf("GET", kJob + "/yarn-cancel"), 202);
  EXPECT_EQ(gateway_->cancelled.size(), 3u);
  EXPECT_EQ(StatusOf("PATCH", kJob + "?mode=stop"), 400);
  gateway_->error = FailedPrecondition("it has FINISHED");
  EXPECT_EQ(StatusOf("PATCH", kJob), 409);
}

TEST_F(ReadsTest, ALogIsReadFromAnOffset) {
  gateway_->log = {std::string("a\0b", 3), 103, false};
  HttpResponse response = world_.Ask("GET", kLog + "?offset=100&limit=10");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, std::string("a\0b", 3));
  EXPECT_EQ(response.Header("Content-Type"), "text/plain; charset=UTF-8");
  EXPECT_EQ(response.Header("X-Baton-Log-Size"), "103");
  EXPECT_EQ(response.Header("X-Baton-Log-Ended"), "false");
  ASSERT_EQ(gateway_->log_reads.size(), 1u);
  const TaskLogRequest& read = gateway_->log_reads[0];
  EXPECT_EQ(read.vertex_id, "v");
  EXPECT_EQ(read.attempt, 2u);
  EXPECT_EQ(read.stream, "stdout");
  EXPECT_EQ(read.offset, 100u);
  EXPECT_EQ(read.limit, 10u);
}

TEST_F(ReadsTest, AReadOfALogIsBounded) {
  world_.Ask("GET", kLog + "?limit=4000000000");
  EXPECT_LE(gateway_->log_reads.at(0).limit, 4u << 20);
}

TEST_F(ReadsTest, FollowingWaitsForMore) {
  gateway_->log = {"", 100, false};
  auto answer = world_.Send("GET", kLog + "?offset=100&follow=true");
  world_.scheduler.AdvanceBy(seconds(1));
  EXPECT_FALSE(answer->has_value());
  gateway_->log = {"more", 104, false};
  world_.scheduler.AdvanceBy(milliseconds(200));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->body, "more");
}

TEST_F(ReadsTest, FewReadsOfLogsAreUnderWayAtOnce) {
  gateway_->keeps_logs = true;
  std::vector<EndpointWorld::Answer> answers;
  for (int i = 0; i < 40; ++i) answers.push_back(world_.Send("GET", kLog));
  EXPECT_EQ(gateway_->unread.size(), 16u);
  // One that is answered and one that is dropped: both make room.
  gateway_->unread[0](TaskLogChunk{"a", 1, true});
  gateway_->unread[1] = nullptr;
  world_.scheduler.RunUntilIdle();
  EXPECT_EQ(gateway_->unread.size(), 18u);
  EXPECT_TRUE(answers[0]->has_value());
  for (size_t i = 2; i < gateway_->unread.size(); ++i) {
    gateway_->unread[i](TaskLogChunk{"a", 1, true});
    world_.scheduler.RunUntilIdle();
  }
  EXPECT_EQ(gateway_->unread.size(), 40u);
}

TEST_F(ReadsTest, APageOfAnotherOriginMayReadAndNotChange) {
  const auto ask = [&](std::string method, std::string target, std::string origin) {
    HttpRequest request{std::move(method), std::move(target), {{"Host", "baton:8080"}}, ""};
    request.SetHeader("Origin", std::move(origin));
    auto answer = world_.Send(std::move(request));
    return answer->has_value() ? (*answer)->status : 0;
  };
  EXPECT_EQ(ask("GET", kJob, "http://elsewhere"), 200);
  EXPECT_EQ(ask("PATCH", kJob, "http://elsewhere"), 403);
  EXPECT_EQ(ask("GET", kJob + "/yarn-cancel?x=1", "http://elsewhere"), 403);
  EXPECT_EQ(ask("POST", "/v1/leader/transfer", "null"), 403);
  EXPECT_TRUE(gateway_->cancelled.empty());
  EXPECT_EQ(world_.transfers, 0);
  EXPECT_EQ(ask("GET", kJob + "/yarn-cancel", "http://baton:8080"), 202);
  EXPECT_EQ(ask("PATCH", kJob, "https://baton:8080"), 202);
}

TEST_F(ReadsTest, TooManyFollowersAreToldSoAndTheirPlacesComeBack) {
  RestEndpointOptions options;
  options.max_log_followers = 2;
  EndpointWorld world(options);
  world.SelfLeads(3)->log = {"", 100, false};
  const auto follow = [&] { return world.Send("GET", kLog + "?offset=100&follow=true"); };
  auto first = follow(), second = follow();
  const HttpResponse third = world.Ask("GET", kLog + "?offset=100&follow=true");
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(third.Header("Retry-After"), "1");
  EXPECT_EQ(world.Ask("GET", kLog + "?offset=100").status, 200) << "a read waits for nothing";
  world.scheduler.AdvanceBy(seconds(11));
  EXPECT_TRUE(first->has_value() && second->has_value());
  EXPECT_FALSE(follow()->has_value()) << "it waits, so it was let in";
}

TEST_F(ReadsTest, FollowingEndsWithTheLogOrTheTime) {
  gateway_->log = {"", 100, true};
  EXPECT_EQ(world_.Ask("GET", kLog + "?offset=100&follow=true").Header("X-Baton-Log-Ended"),
            "true");
  gateway_->log = {"", 100, false};
  auto answer = world_.Send("GET", kLog + "?offset=100&follow=true");
  world_.scheduler.AdvanceBy(seconds(11));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 200);
  EXPECT_EQ((*answer)->body, "");
}

}  // namespace
}  // namespace baton
