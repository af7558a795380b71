#include "rest/client/rest_client.h"

#include <set>

#include "base/status.h"
#include "gtest/gtest.h"
#include "rest/client/rest_json.h"
#include "tests/cli/scripted_server.h"

namespace baton {
namespace {

const std::string kAccepted = ScriptedServer::Answer(202, R"({"jobid":"x"})");
const std::string kElection = ScriptedServer::Answer(
    503, R"({"errors":["Service temporarily unavailable due to an ongoing leader election."]})");
const std::string kBroken;

std::unique_ptr<RestClient> ClientOf(const ScriptedServer& server) {
  return *RestClient::Open(server.url());
}

TEST(Submit, TriesAgainUnderTheSameIdUntilItIsAnswered) {
  ScriptedServer server({kElection, kBroken, kBroken, kBroken, kElection, kAccepted});
  auto job = ClientOf(server)->Submit(R"({"name":"j"})");
  ASSERT_TRUE(job.ok()) << job.status();
  const auto requests = server.Requests();
  EXPECT_EQ(requests.size(), 6u);
  EXPECT_EQ(std::set<std::string>(requests.begin(), requests.end()).size(), 1u);
  EXPECT_EQ(requests[0], "PUT /v1/jobs/" + job->value.id);
  EXPECT_EQ(job->json, R"({"jobid":"x"})");
}

TEST(Submit, GivesUpAtItsDeadline) {
  ScriptedServer server({kElection});
  RestClient::Options options;
  options.http.server = server.url();
  options.submit_deadline = std::chrono::milliseconds(2000);
  auto client = RestClient::Open(options);
  EXPECT_TRUE(absl::IsUnavailable((*client)->Submit("{}").status()));
  EXPECT_GE(server.Requests().size(), 2u);
}

TEST(Submit, UsesTheJobsOwnIdOrTheOneItIsGiven) {
  const std::string own = "00112233445566778899aabbccddeeff";
  ScriptedServer server({kAccepted});
  auto client = ClientOf(server);
  EXPECT_EQ(client->Submit(R"({"jobid":")" + own + "\"}")->value.id, own);
  const JobId given = JobId::FromKey("key");
  EXPECT_EQ(client->Submit("{}", given)->value.id, given.ToString());
}

TEST(Submit, DoesNotRepeatWhatIsRefused) {
  ScriptedServer server({ScriptedServer::Answer(400, R"({"errors":["name: missing","x: bad"]})")});
  const auto job = ClientOf(server)->Submit("{}");
  EXPECT_TRUE(absl::IsInvalidArgument(job.status()));
  EXPECT_EQ(Message(job.status()), "name: missing; x: bad");
  EXPECT_EQ(server.Requests().size(), 1u);
}

TEST(Send, RepeatsAGetOnceWhenTheConnectionBreaks) {
  ScriptedServer server({kBroken, ScriptedServer::Answer(200, "{}")});
  auto reply = ClientOf(server)->Get("/v1/overview");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(server.Requests().size(), 2u);
}

TEST(Send, NeverRepeatsAPostThatCarriesNoId) {
  ScriptedServer server({kBroken, ScriptedServer::Answer(200, "{}")});
  auto client = ClientOf(server);
  EXPECT_TRUE(absl::IsUnavailable(client->Send("POST", "/v1/jobs", "{}").status()));
  EXPECT_EQ(server.Requests().size(), 1u);
}

TEST(Send, RepeatsAPostWithAnIdempotencyKey) {
  ScriptedServer server({kBroken, ScriptedServer::Answer(202, "{}")});
  auto client = ClientOf(server);
  EXPECT_TRUE(client->Send("POST", "/v1/jobs", "{}", {{"Idempotency-Key", "k"}}).ok());
  EXPECT_EQ(server.Requests().size(), 2u);
}

TEST(Send, TellsWhoAnswered) {
  ScriptedServer server({ScriptedServer::Answer(200, "{}", "X-Baton-Replica: replica-2\r\n")});
  EXPECT_EQ(ClientOf(server)->Get("/")->replica, "replica-2");
}

TEST(Send, NobodyThereIsUnavailable) {
  std::string url;
  {
    ScriptedServer gone({kAccepted});
    url = gone.url();
  }
  auto client = RestClient::Open(url);
  EXPECT_TRUE(absl::IsUnavailable((*client)->Get("/").status()));
}

TEST(Open, WhatIsNoUrlIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(RestClient::Open("ftp://host").status()));
  EXPECT_TRUE(RestClient::Open("127.0.0.1:8081").ok());
}

TEST(ToStatus, SaysWhatTheCallerMustDo) {
  const auto code = [](int status) {
    return ToStatus(RestReply{status, R"({"errors":["why"]})", "", {}}).code();
  };
  EXPECT_EQ(code(202), absl::StatusCode::kOk);
  EXPECT_EQ(code(400), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(404), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(409), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(413), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(429), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(500), absl::StatusCode::kInternal);
  EXPECT_EQ(code(502), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(503), absl::StatusCode::kUnavailable);
}

TEST(ErrorText, FallsBackToTheBody) {
  EXPECT_EQ(ErrorText(R"({"errors":["a","b"]})"), "a; b");
  EXPECT_EQ(ErrorText("<html>Bad Gateway</html>"), "<html>Bad Gateway</html>");
}

TEST(Readers, TakeWhatTheyKnowAndIgnoreTheRest) {
  auto jobs = ReadJobRows(
      R"({"jobs":[{"jid":"a","name":"n","state":"RUNNING","start-time":5,"end-time":-1,
      "duration":7,"tasks":{"total":3,"finished":1},"new":{}}]})");
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  EXPECT_EQ(jobs->at(0).tasks_total, 3);
  EXPECT_EQ(jobs->at(0).tasks.at("finished"), 1);
  auto job = ReadJobView(
      R"({"jid":"a","state":"CANCELED","vertices":[{"id":"v","tasks":{"RUNNING":2}}]})");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_TRUE(job->Ended());
  EXPECT_EQ(job->vertices[0].tasks.at("RUNNING"), 2);
  auto replicas = ReadReplicaRows(
      R"({"replicas":[{"id":"r","address":"h:1","alive":true,"member":true,"leader":false}]})");
  ASSERT_TRUE(replicas.ok());
  EXPECT_TRUE(replicas->at(0).member);
  EXPECT_EQ(ReadLeaderView(R"({"epoch":3,"replica":"r"})")->epoch, 3u);
}

TEST(Readers, AnAnswerOfAnotherShapeIsAnError) {
  for (const char* body : {"", "[]", "{}", R"({"jobs":7})", R"({"jobs":[{"jid":7}]})"}) {
    EXPECT_FALSE(ReadJobRows(body).ok()) << body;
  }
  EXPECT_FALSE(ReadLeaderView(R"({"epoch":"3"})").ok());
}

}  // namespace
}  // namespace baton
