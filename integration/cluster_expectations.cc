// What the tests expect of jobs and of the cluster, judged by what the tasks wrote.

#include "integration/cluster_test.h"
#include "integration/late_writes.h"

namespace baton::integration {

void ClusterTest::ExpectRanOnce(const std::string& job, size_t tasks) {
  EXPECT_TRUE(Eventually([&] { return JobState(job) == "FINISHED"; }))
      << "job " << job << " is " << JobState(job);
  EXPECT_EQ(traces().Starts(job).size(), tasks) << "starts of job " << job;
  EXPECT_EQ(traces().Ends(job).size(), tasks) << "ends of job " << job;
}

void ClusterTest::ExpectUndisturbed(const std::string& job, size_t tasks) {
  EXPECT_EQ(traces().Starts(job).size(), tasks);
  traces().Release(job);
  ExpectRanOnce(job, tasks);
  for (const TraceLine& start : traces().Starts(job)) {
    EXPECT_EQ(start.attempt, 0u);
    bool same_process_ended = false;
    for (const TraceLine& end : traces().Ends(job)) same_process_ended |= end.pid == start.pid;
    EXPECT_TRUE(same_process_ended) << "subtask " << start.subtask;
  }
}

void ClusterTest::ExpectServes() {
  const auto leaders = [] {
    int count = 0;
    for (const std::string& replica : Replicas()) {
      const auto reply = Get(Rest(replica), "/leader", kProbe);
      if (reply.ok() && reply->status == 200) ++count;
    }
    return count;
  };
  EXPECT_TRUE(Eventually([&] { return leaders() == 1; })) << leaders() << " say that they lead";
  const std::string job = NewJobId();
  const auto reply = Put(Balancer(), job, QuickJob());
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 202) << reply->body;
  ExpectRanOnce(job);
}

std::string ClusterTest::NewHeldJobId() {
  held_.push_back(NewJobId());
  return held_.back();
}

std::string ClusterTest::StartHeldJob(uint32_t tasks) {
  const std::string job = NewHeldJobId();
  const auto reply = Put(Balancer(), job, HeldJob(tasks));
  EXPECT_TRUE(reply.ok()) << reply.status();
  if (reply.ok()) {
    EXPECT_EQ(reply->status, 202) << reply->body;
  }
  EXPECT_TRUE(Eventually([&] { return traces().Starts(job).size() == tasks; }));
  return job;
}

void ClusterTest::ExpectAccepted(std::chrono::seconds patience) {
  const std::string job = NewJobId();
  EXPECT_TRUE(Eventually(
      [&] {
        const auto reply = Put(Balancer(), job, QuickJob());
        return reply.ok() && reply->status / 100 == 2;
      },
      patience));
  ExpectRanOnce(job);
}

bool ClusterTest::EventuallyNeverTwice(const std::string& job,
                                       const std::function<bool()>& condition,
                                       std::chrono::seconds patience) {
  std::set<uint32_t> twice;
  const bool came = Eventually(
      [&] {
        twice = traces().AliveTwice(job);
        return !twice.empty() || condition();
      },
      patience);
  for (const uint32_t subtask : twice) {
    ADD_FAILURE() << "two attempts of subtask " << subtask << " live";
  }
  return came && twice.empty();
}

void ClusterTest::ExpectFenced(LateWrites& writes, const Leadership& deposed) {
  const auto by_a_successor = [&](const absl::StatusOr<HttpReply>& reply) {
    const bool acknowledged = reply.ok() && reply->status / 100 == 2;
    if (acknowledged) {
      EXPECT_GT(std::stoull("0" + reply->Header("X-Baton-Epoch")), deposed.epoch) << reply->head;
    } else {
      EXPECT_EQ(reply.ok() ? reply->status : 0, 503) << (reply.ok() ? reply->body : "no answer");
    }
    return acknowledged;
  };
  for (const auto& [job, reply] : writes.submissions()) {
    if (by_a_successor(reply)) {
      ExpectRanOnce(job);
    } else {
      EXPECT_EQ(traces().Starts(job).size(), 0u) << "refused, and runs: " << job;
    }
  }
  const std::string& victim = writes.victim();
  if (by_a_successor(writes.cancellation())) {
    EXPECT_TRUE(Eventually([&] { return JobState(victim) == "CANCELED"; })) << JobState(victim);
    EXPECT_TRUE(ProcessesOf(victim).empty());
    EXPECT_EQ(traces().Starts(victim).size(), 1u) << "it ran again after its cancellation";
  } else {
    ExpectUndisturbed(victim, 1);
  }
}

}  // namespace baton::integration
