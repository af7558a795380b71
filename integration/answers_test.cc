// Every replica and the balancer give the same answers: a client need not know who leads.

#include "integration/cluster_test.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

using nlohmann::json;

// What may differ from one moment to the next is left out.
json WithoutClocks(json value) {
  if (value.is_object()) {
    for (const char* name : {"now", "duration", "timeSinceLastHeartbeat"}) value.erase(name);
  }
  if (value.is_structured()) {
    for (auto& element : value) element = WithoutClocks(element);
  }
  return value;
}

class AnswersTest : public ClusterTest {
 protected:
  static std::vector<std::string> Everywhere() {
    std::vector<std::string> addresses = {Balancer()};
    for (const std::string& replica : Replicas()) addresses.push_back(Rest(replica));
    return addresses;
  }
};

TEST_F(AnswersTest, AreTheSameEverywhere) {
  const std::string job = NewJobId();
  ASSERT_EQ(Put(Balancer(), job, QuickJob(2))->status, 202);
  ExpectRanOnce(job, 2);
  for (const std::string path : {"/v1/jobs", "/jobs/overview", "/v1/jobs/overview", "/v1/overview",
                                 "/v1/taskmanagers", "/v1/leader", "/config"}) {
    std::map<json, std::string> answers;
    for (const std::string& address : Everywhere()) {
      const auto reply = Get(address, path);
      ASSERT_TRUE(reply.ok()) << path << ": " << reply.status();
      ASSERT_EQ(reply->status, 200) << path << ": " << reply->body;
      answers[WithoutClocks(json::parse(reply->body))] += address + " ";
    }
    EXPECT_EQ(answers.size(), 1u) << path << " differs:\n"
                                  << [&] {
                                       std::string text;
                                       for (const auto& [answer, who] : answers)
                                         text += who + answer.dump() + "\n";
                                       return text;
                                     }();
  }
}

TEST_F(AnswersTest, OfOneJobAreTheSameEverywhere) {
  const std::string job = NewJobId();
  ASSERT_EQ(Put(Balancer(), job, QuickJob(2))->status, 202);
  ExpectRanOnce(job, 2);
  for (const std::string path : {"", "/status", "/plan", "/exceptions", "/config", "/vertices/task",
                                 "/vertices/task/subtasks/1"}) {
    std::map<json, std::string> answers;
    for (const std::string& address : Everywhere()) {
      const auto reply = Get(address, "/v1/jobs/" + job + path);
      ASSERT_TRUE(reply.ok()) << path << ": " << reply.status();
      ASSERT_EQ(reply->status, 200) << path << ": " << reply->body;
      answers[WithoutClocks(json::parse(reply->body))] += address + " ";
    }
    EXPECT_EQ(answers.size(), 1u) << path;
  }
}

TEST_F(AnswersTest, OneReplicaSaysThatItLeadsAndTheOthersThatTheyStandBy) {
  const std::string leader = Leader().replica;
  for (const std::string& replica : Replicas()) {
    const auto reply = Get(Rest(replica), "/leader");
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status, replica == leader ? 200 : 503) << replica;
    EXPECT_EQ(Get(Rest(replica), "/health")->status, 200) << replica;
    EXPECT_EQ(Get(Rest(replica), "/ready")->status, 200) << replica;
    EXPECT_EQ(Get(Rest(replica), "/metrics")->status, 200) << replica;
  }
}

}  // namespace
}  // namespace baton::integration
