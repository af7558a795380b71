#include <gtest/gtest.h>

#include <algorithm>

#include "base/status.h"
#include "rest/responses.h"
#include "tests/rest/fakes.h"

namespace baton {
namespace {

const std::string kHex = kJobHex;

HttpRequest Post(std::string body) {
  return HttpRequest{"POST", "/v1/jobs", {{"Content-Type", "application/json"}}, std::move(body)};
}

HttpRequest Put(const std::string& id, std::string body) {
  return HttpRequest{
      "PUT", "/v1/jobs/" + id, {{"content-type", "application/json"}}, std::move(body)};
}

std::string JobWithId(const std::string& id) {
  return R"({"jobid": ")" + id + R"(", )" + std::string(kJobJson).substr(1);
}

class SubmissionTest : public testing::Test {
 protected:
  HttpResponse Submit(HttpRequest request) {
    auto answer = world_.Send(std::move(request));
    EXPECT_TRUE(answer->has_value()) << "not answered";
    return answer->value_or(HttpResponse{});
  }

  EndpointWorld world_;
};

TEST_F(SubmissionTest, IsAcceptedWithAnIdMadeHere) {
  auto gateway = world_.SelfLeads(1);
  HttpResponse response = Submit(Post(kJobJson));
  ASSERT_EQ(gateway->submissions.size(), 1u);
  const std::string id = gateway->submissions[0].job_id.ToString();
  EXPECT_NE(gateway->submissions[0].job_id, JobId());
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.body, R"({"jobUrl":"/jobs/)" + id + R"(","jobid":")" + id + R"("})");
  EXPECT_EQ(response.Header("X-Baton-Job-Id"), id);
  EXPECT_FALSE(gateway->submissions[0].digest.empty());
}

TEST_F(SubmissionTest, OfAKnownJobIsAnswered200WithTheSameBody) {
  auto gateway = world_.SelfLeads(1);
  HttpResponse first = Submit(Put(kHex, kJobJson));
  gateway->known = true;
  HttpResponse again = Submit(Put(kHex, kJobJson));
  EXPECT_EQ(first.status, 202);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
}

TEST_F(SubmissionTest, OfAnotherJobUnderTheSameIdIsAConflict) {
  world_.SelfLeads(1)->error = AlreadyExists("another job has this id");
  EXPECT_EQ(Submit(Put(kHex, kJobJson)).status, 409);
}

TEST_F(SubmissionTest, TakesTheIdFromPathBodyOrKey) {
  auto gateway = world_.SelfLeads(1);
  Submit(Put(kHex, kJobJson));
  EXPECT_EQ(gateway->submissions.back().job_id.ToString(), kHex);
  Submit(Post(JobWithId(kHex)));
  EXPECT_EQ(gateway->submissions.back().job_id.ToString(), kHex);
  HttpRequest keyed = Post(kJobJson);
  keyed.SetHeader("idempotency-key", "order-17");
  Submit(keyed);
  EXPECT_EQ(gateway->submissions.back().job_id, JobId::FromKey("order-17"));
}

TEST_F(SubmissionTest, IdsThatDifferAreRefused) {
  auto gateway = world_.SelfLeads(1);
  const std::string other(32, 'f');
  EXPECT_EQ(Submit(Put(other, JobWithId(kHex))).status, 400);
  HttpRequest keyed = Post(JobWithId(kHex));
  keyed.SetHeader("Idempotency-Key", "order-17");
  HttpResponse response = Submit(keyed);
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("Idempotency-Key"), std::string::npos) << response.body;
  EXPECT_TRUE(gateway->submissions.empty());
}

TEST_F(SubmissionTest, IdsThatAgreeAreFine) {
  world_.SelfLeads(1);
  EXPECT_EQ(Submit(Put(kHex, JobWithId(kHex))).status, 202);
}

TEST_F(SubmissionTest, IsGivenItsIdBeforeItIsForwarded) {
  world_.OtherLeads("b", 5);
  HttpRequest request = Post(kJobJson);
  request.SetHeader("Idempotency-Key", "order-17");
  auto answer = world_.Send(std::move(request));
  auto sent = world_.transport->Take();
  EXPECT_EQ(sent.request.method, "PUT");
  EXPECT_EQ(sent.request.target, "/v1/jobs/" + JobId::FromKey("order-17").ToString());
  EXPECT_EQ(sent.request.body, kJobJson);
  EXPECT_EQ(sent.request.Header("Content-Type"), "application/json");
  EXPECT_EQ(sent.request.Header("Idempotency-Key"), "");
}

TEST_F(SubmissionTest, AnEmptyIdempotencyKeyIsNotForwarded) {
  world_.OtherLeads("b", 5);
  HttpRequest request = Post(kJobJson);
  request.headers.emplace_back("idempotency-KEY", "");
  auto answer = world_.Send(std::move(request));
  auto sent = world_.transport->Take();
  EXPECT_TRUE(std::ranges::none_of(sent.request.headers, [](const auto& header) {
    return SameHeaderName(header.first, "Idempotency-Key");
  }));
}

// P2: however often the hop is repeated, it is one job.
TEST_F(SubmissionTest, KeepsItsIdThroughAChangeOfLeaderInTheMiddle) {
  world_.OtherLeads("b", 5);
  auto answer = world_.Send(Post(kJobJson));
  auto first = world_.transport->Take();
  first.Answer(Unknown("the connection broke"));
  world_.scheduler.RunUntilIdle();
  EXPECT_FALSE(answer->has_value());
  auto gateway = world_.SelfLeads(6);
  ASSERT_EQ(gateway->submissions.size(), 1u);
  EXPECT_EQ(first.request.target, "/v1/jobs/" + gateway->submissions[0].job_id.ToString());
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 202);
}

TEST_F(SubmissionTest, OfUnknownOutcomeIsRepeatedHereToo) {
  auto gateway = world_.SelfLeads(5);
  gateway->silent = true;
  auto answer = world_.Send(Post(kJobJson));
  ASSERT_EQ(gateway->unanswered.size(), 1u);
  gateway->unanswered[0](Unknown("the commit may have happened"));
  gateway->silent = false;
  gateway->known = true;
  world_.scheduler.AdvanceBy(std::chrono::seconds(1));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 200);
  ASSERT_EQ(gateway->submissions.size(), 2u);
  EXPECT_EQ(gateway->submissions[0].job_id, gateway->submissions[1].job_id);
}

TEST_F(SubmissionTest, WithoutALeaderSaysUnder503WhichIdItHad) {
  auto answer = world_.Send(Post(kJobJson));
  world_.scheduler.AdvanceBy(std::chrono::seconds(21));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 503);
  EXPECT_TRUE(JobId::Parse((*answer)->Header("X-Baton-Job-Id")).ok());
}

TEST_F(SubmissionTest, BadOnesAreRefusedBeforeAnybodyIsAsked) {
  world_.OtherLeads("b", 5);
  EXPECT_EQ(Submit(Post("")).status, 400);
  EXPECT_EQ(Submit(Post("{")).status, 400);
  EXPECT_EQ(Submit(Post(std::string("\0\0", 2))).status, 400);
  EXPECT_EQ(Submit(Post(std::string(100, '['))).status, 400);
  EXPECT_EQ(Submit(Put("nothex", kJobJson)).status, 400);
  EXPECT_EQ(Submit(Put(std::string("%00"), kJobJson)).status, 400);
  HttpRequest form = Post(kJobJson);
  form.SetHeader("Content-Type", "multipart/form-data; boundary=x");
  EXPECT_EQ(Submit(form).status, 415);
  form.SetHeader("Content-Type", "application\x0fjson");
  EXPECT_EQ(Submit(form).status, 415) << "that is no other case of a slash";
  HttpRequest keyed = Post(kJobJson);
  keyed.SetHeader("Idempotency-Key", "a b");
  EXPECT_EQ(Submit(keyed).status, 400);
  EXPECT_TRUE(world_.transport->sent.empty());
}

TEST_F(SubmissionTest, EveryProblemIsNamed) {
  HttpResponse response =
      Submit(Post(R"({"name": "", "vertices": [{"id": "v", "parallelism": 0}], "typo": 1})"));
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("typo"), std::string::npos) << response.body;
  EXPECT_NE(response.body.find("parallelism"), std::string::npos) << response.body;
}

TEST(LargeBodiesTest, AreReadAsideAndTheirNumberIsBounded) {
  EndpointWorld world;
  auto gateway = world.SelfLeads(1);
  world.large_bodies->Pause();
  const std::string large(8 << 20, ' ');
  std::vector<EndpointWorld::Answer> held;
  for (int i = 0; i < 8; ++i) held.push_back(world.Send("POST", "/v1/jobs", large));
  EXPECT_FALSE(held.back()->has_value());
  auto refused = world.Send("POST", "/v1/jobs", large);
  ASSERT_TRUE(refused->has_value());
  EXPECT_EQ((*refused)->status, 429);
  // What is small goes its own way.
  EXPECT_EQ(world.Ask("POST", "/v1/jobs", kJobJson).status, 202);
  world.large_bodies->Resume();
  world.scheduler.RunUntilIdle();
  for (auto& answer : held) {
    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ((*answer)->status, 400);
  }
  EXPECT_EQ(world.Ask("POST", "/v1/jobs", large).status, 400);
}

}  // namespace
}  // namespace baton
