// Requests find the leader: here, at another replica, or after an election.

#include <gtest/gtest.h>

#include "base/status.h"
#include "rest/responses.h"
#include "tests/rest/fakes.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

HttpRequest Get(std::string target) { return HttpRequest{"GET", std::move(target), {}, ""}; }

HttpResponse NotLeaderAnswer() {
  HttpResponse response = ErrorResponse(503, "no");
  response.SetHeader(kNotLeaderHeader, "b");
  return response;
}

TEST(ForwardingTest, ALeaderAsksItsOwnDispatcher) {
  EndpointWorld world;
  world.SelfLeads(4)->overview.task_managers = 3;
  HttpResponse response = world.Ask("GET", "/v1/overview");
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find(R"("taskmanagers":3)"), std::string::npos);
  EXPECT_EQ(response.Header(kEpochHeader), "4");
  EXPECT_EQ(response.Header("X-Baton-Replica"), "a");
  EXPECT_EQ(response.Header("Content-Type"), kJsonContentType);
  EXPECT_EQ(response.Header("Access-Control-Allow-Origin"), "*");
}

TEST(ForwardingTest, AStandbyForwardsAndReturnsTheAnswerOfTheLeader) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  HttpRequest request = Get("/overview?x=1");
  request.headers = {{"authorization", "Bearer t"}, {"connection", "close"}, {"host", "a:8081"}};
  auto answer = world.Send(std::move(request));
  EXPECT_FALSE(answer->has_value());
  auto sent = world.transport->Take();
  EXPECT_EQ(sent.address, "b:8081");
  EXPECT_EQ(sent.request.target, "/overview?x=1");
  EXPECT_EQ(sent.request.Header(kForwardedHeader), "a");
  EXPECT_EQ(sent.request.Header("Authorization"), "Bearer t");
  EXPECT_EQ(sent.request.Header("Connection"), "");
  HttpResponse from_leader = JsonResponse(404, "{}");
  from_leader.SetHeader(kEpochHeader, "5");
  sent.Answer(from_leader);
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 404);
  EXPECT_EQ((*answer)->Header(kEpochHeader), "5");
  EXPECT_EQ((*answer)->Header("X-Baton-Replica"), "a");
}

TEST(ForwardingTest, AHeadIsForwardedAsAGet) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  world.Send("HEAD", "/overview");
  EXPECT_EQ(world.transport->Take().request.method, "GET");
}

TEST(ForwardingTest, ARequestIsHeldUntilSomebodyLeads) {
  EndpointWorld world;
  auto answer = world.Send("GET", "/overview");
  world.scheduler.AdvanceBy(seconds(19));
  EXPECT_FALSE(answer->has_value());
  world.SelfLeads(1);
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 200);
}

TEST(ForwardingTest, ALeaderWhoseDispatcherComesLaterIsFoundWithoutAChangeOfTheView) {
  EndpointWorld world;
  auto answer = world.Send("GET", "/overview");
  world.gateway = std::make_shared<FakeGateway>(1);
  world.scheduler.AdvanceBy(seconds(2));
  EXPECT_TRUE(answer->has_value());
}

TEST(ForwardingTest, NobodyLeadsForTooLong) {
  EndpointWorld world;
  auto answer = world.Send("GET", "/overview");
  world.scheduler.AdvanceBy(seconds(20) + milliseconds(1));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 503);
  EXPECT_EQ((*answer)->Header("Retry-After"), "1");
  EXPECT_EQ((*answer)->body, std::string(R"({"errors":[")") + kNoLeaderSentence + R"("]})");
}

TEST(ForwardingTest, ADeadLeadersRequestGoesToTheNext) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  auto answer = world.Send("GET", "/overview");
  world.transport->Take().Answer(Unavailable("refused"));
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(answer->has_value());
  world.OtherLeads("c", 6);
  auto sent = world.transport->Take();
  EXPECT_EQ(sent.address, "c:8081");
  sent.Answer(JsonResponse(200, "{}"));
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(answer->has_value());
}

TEST(ForwardingTest, ALeaderThatRefusesAMomentIsAskedAgain) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  world.Send("GET", "/overview");
  world.transport->Take().Answer(Unavailable("refused"));
  world.scheduler.AdvanceBy(seconds(1));
  EXPECT_EQ(world.transport->Take().address, "b:8081");
}

TEST(ForwardingTest, AFrozenLeaderIsGivenUpWhenAnotherLeads) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  auto answer = world.Send("GET", "/overview");
  auto to_frozen = world.transport->Take();
  world.SelfLeads(6);
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->Header(kEpochHeader), "6");
  // What the frozen one says when it thaws comes too late, and harms nothing.
  to_frozen.Answer(JsonResponse(200, "{}"));
  world.scheduler.RunUntilIdle();
}

TEST(ForwardingTest, AStandbyThatWasTakenForTheLeaderSendsTheRequestBack) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  auto answer = world.Send("GET", "/overview");
  world.transport->Take().Answer(NotLeaderAnswer());
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(answer->has_value());
  world.SelfLeads(6);
  EXPECT_TRUE(answer->has_value());
}

TEST(ForwardingTest, AStandbyHearsThatTheOutcomeIsUnknown) {
  EndpointWorld leader;
  leader.SelfLeads(5)->error = Unknown("the answer of the store was lost");
  HttpRequest request = Get("/overview");
  request.SetHeader(kForwardedHeader, "c");
  auto refusal = leader.Send(std::move(request));
  ASSERT_TRUE(refusal->has_value());
  EXPECT_EQ((*refusal)->Header(kOutcomeUnknownHeader), "true");

  EndpointWorld world;
  world.OtherLeads("b", 5);
  auto answer = world.Send("GET", "/overview");
  world.transport->Take().Answer(**refusal);
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(answer->has_value()) << "the next leader is asked";
  world.NobodyLeads();
  world.scheduler.AdvanceBy(seconds(21));
  ASSERT_TRUE(answer->has_value());
  EXPECT_NE((*answer)->body.find("outcome is unknown"), std::string::npos) << (*answer)->body;
}

TEST(ForwardingTest, AStandbyDoesNotRepeatATransferOfUnknownOutcome) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  auto answer = world.Send("POST", "/v1/leader/transfer");
  HttpResponse refusal = NotLeaderAnswer();
  refusal.SetHeader(kOutcomeUnknownHeader, "true");
  world.transport->Take().Answer(refusal);
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 503);
}

TEST(ForwardingTest, ATransferThatADepositionOvertookIsDone) {
  EndpointWorld world;
  world.SelfLeads(5);
  world.transfer_result = Aborted("deposed");
  EXPECT_EQ(world.Ask("POST", "/v1/leader/transfer").status, 202);
}

TEST(ForwardingTest, AForwardedRequestGoesNoFurther) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  HttpRequest request = Get("/overview");
  request.SetHeader(kForwardedHeader, "c");
  auto answer = world.Send(std::move(request));
  EXPECT_TRUE(world.transport->sent.empty());
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 503);
  EXPECT_EQ((*answer)->Header(kNotLeaderHeader), "a");
}

TEST(ForwardingTest, AForwardedRequestIsNotHeldWhenItsLeaderIsDeposed) {
  EndpointWorld world;
  world.SelfLeads(5)->error = Aborted("deposed");
  HttpRequest request = Get("/overview");
  request.SetHeader(kForwardedHeader, "c");
  auto answer = world.Send(std::move(request));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->Header(kNotLeaderHeader), "a");
}

TEST(ForwardingTest, WhatADeposedDispatcherAbortedGoesToTheNextLeader) {
  EndpointWorld world;
  world.SelfLeads(5)->error = Aborted("deposed");
  auto answer = world.Send("GET", "/overview");
  EXPECT_FALSE(answer->has_value());
  world.OtherLeads("b", 6);
  EXPECT_EQ(world.transport->Take().address, "b:8081");
}

TEST(ForwardingTest, UnavailableIsAnAnswerWhileTheLeaderGoesOnLeading) {
  EndpointWorld world;
  world.SelfLeads(5)->error = Unavailable("1 of 2 copies could be stored");
  HttpResponse response = world.Ask("GET", "/overview");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.Header("Retry-After"), "1");
  EXPECT_EQ(response.body, R"({"errors":["1 of 2 copies could be stored"]})");
}

TEST(ForwardingTest, ErrorsOfTheDispatcherHaveTheirStatus) {
  EndpointWorld world;
  auto gateway = world.SelfLeads(5);
  auto status_of = [&](absl::Status error) {
    gateway->error = error;
    return world.Ask("GET", "/jobs").status;
  };
  EXPECT_EQ(status_of(InvalidArgument("x")), 400);
  EXPECT_EQ(status_of(NotFound("x")), 404);
  EXPECT_EQ(status_of(AlreadyExists("x")), 409);
  EXPECT_EQ(status_of(FailedPrecondition("x")), 409);
  EXPECT_EQ(status_of(ResourceExhausted("x")), 429);
  EXPECT_EQ(status_of(Internal("x")), 500);
  gateway->error = ResourceExhausted("full");
  EXPECT_EQ(world.Ask("GET", "/jobs").Header("Retry-After"), "1");
}

TEST(ForwardingTest, HeldRequestsAreBoundedInNumber) {
  RestEndpointOptions options;
  options.relay.max_requests = 2;
  EndpointWorld world(options);
  auto first = world.Send("GET", "/overview");
  auto second = world.Send("GET", "/overview");
  HttpResponse third = world.Ask("GET", "/overview");
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(third.Header("Retry-After"), "1");
  world.SelfLeads(1);
  EXPECT_TRUE(first->has_value() && second->has_value());
  EXPECT_EQ(world.Ask("GET", "/overview").status, 200);
}

TEST(ForwardingTest, HeldRequestsAreBoundedInBytes) {
  RestEndpointOptions options;
  options.relay.max_bytes = 300;
  EndpointWorld world(options);
  HttpRequest submit{"POST", "/jobs", {{"Content-Type", "application/json"}}, kJobJson};
  ASSERT_GT(submit.body.size(), 60u);
  EXPECT_FALSE(world.Send(submit)->has_value());
  EXPECT_FALSE(world.Send(submit)->has_value());
  auto third = world.Send(submit);
  ASSERT_TRUE(third->has_value());
  EXPECT_EQ((*third)->status, 429);
}

TEST(ForwardingTest, ALeaderThatNeverAnswersEndsIn503) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  auto answer = world.Send("GET", "/overview");
  world.scheduler.AdvanceBy(seconds(60));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 503);
}

TEST(ForwardingTest, StopAnswersWhatIsHeldAndWhatComesLater) {
  EndpointWorld world;
  auto held = world.Send("GET", "/overview");
  world.endpoint->Stop();
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(held->has_value());
  EXPECT_EQ((*held)->status, 503);
  EXPECT_EQ(world.Ask("GET", "/overview").status, 503);
}

TEST(TransferTest, ATransferIsAskedOfTheLeader) {
  EndpointWorld world;
  world.SelfLeads(5);
  EXPECT_EQ(world.Ask("POST", "/v1/leader/transfer").status, 202);
  EXPECT_EQ(world.transfers, 1);
  world.transfer_result = FailedPrecondition("nobody else could take over");
  EXPECT_EQ(world.Ask("POST", "/v1/leader/transfer").status, 409);
}

TEST(TransferTest, ATransferOfUnknownOutcomeIsNotRepeated) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  auto answer = world.Send("POST", "/v1/leader/transfer");
  world.transport->Take().Answer(Unknown("broke"));
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->status, 503);
  world.OtherLeads("c", 6);
  EXPECT_TRUE(world.transport->sent.empty());
}

TEST(TransferTest, AChangeOfLeaderDoesNotSendATransferAgain) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  world.Send("POST", "/v1/leader/transfer");
  auto sent = world.transport->Take();
  world.OtherLeads("c", 6);
  EXPECT_TRUE(world.transport->sent.empty());
}

}  // namespace
}  // namespace baton
