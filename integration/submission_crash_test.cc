// The leader dies at each step of a submission (P1, P2, P8): the client of the balancer sees no
// error, the client of a dead replica may repeat itself elsewhere, and the job runs exactly once.

#include <thread>

#include "base/fault_point.h"
#include "fmt/core.h"
#include "integration/cluster_test.h"

namespace baton::integration {
namespace {

enum class Route {
  kBalancer,  // one request each of three clients, so that one of them is sent to the leader
  kLeader,    // to the leader itself; when it dies, the same request to another replica
  kStandby,   // one request to a standby
};

struct Case {
  const char* fault_point;
  Route route;
  size_t bytes;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.fault_point; }

std::string Name(const testing::TestParamInfo<Case>& info) {
  static const std::map<Route, std::string> kRoutes = {
      {Route::kBalancer, "Balancer"}, {Route::kLeader, "Leader"}, {Route::kStandby, "Standby"}};
  std::string fault = info.param.fault_point;
  for (char& c : fault) {
    if (!isalnum(c)) c = '_';
  }
  return fmt::format("{}_{}_{}", fault, kRoutes.at(info.param.route), info.param.bytes);
}

class SubmissionCrashTest : public ClusterTest, public testing::WithParamInterface<Case> {
 protected:
  // The status that the client ends up with; 0: none.
  int Submit(const std::string& leader, const std::string& job, const std::string& body) {
    std::vector<std::string> addresses;
    switch (GetParam().route) {
      case Route::kBalancer:
        addresses = {Balancer()};
        break;
      case Route::kStandby:
        addresses = {Rest(standbys_.front())};
        break;
      case Route::kLeader:
        addresses = {Rest(leader), Rest(standbys_.front())};
    }
    int status = 0;
    for (const std::string& address : addresses) {
      const auto reply = Put(address, job, body);
      if (!reply.ok()) continue;
      status = reply->status;
      if (status / 100 != 2) ADD_FAILURE() << address << " answered: " << reply->body;
      break;
    }
    return status;
  }

  std::vector<std::string> standbys_;
};

TEST_P(SubmissionCrashTest, F2TheJobRunsOnceAndNoClientSeesAnError) {
  const std::string leader = MakeLeaderWith({{"BATON_FAULT_POINT", GetParam().fault_point}});
  ASSERT_FALSE(leader.empty());
  standbys_ = Standbys();
  const std::string body = QuickJob(1, GetParam().bytes);
  std::vector<std::string> jobs(GetParam().route == Route::kBalancer ? 3 : 1);
  std::vector<int> statuses(jobs.size());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i] = NewJobId();
    clients.emplace_back([&, i] { statuses[i] = Submit(leader, jobs[i], body); });
  }
  for (std::thread& client : clients) client.join();
  for (const int status : statuses) EXPECT_EQ(status / 100, 2);
  EXPECT_EQ(WaitForExit(leader), fmt::format("exit {}", kFaultPointExitCode));
  for (const std::string& job : jobs) ExpectRanOnce(job);
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const char* fault_point :
       {"submission.before-store", "submission.stored-locally", "submission.replicated",
        "submission.pointer-committed", "submission.answered", "deployment.sent"}) {
    for (const Route route : {Route::kBalancer, Route::kLeader, Route::kStandby}) {
      for (const size_t bytes : {size_t{500}, size_t{60} << 10}) {
        cases.push_back({fault_point, route, bytes});
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(EachStep, SubmissionCrashTest, testing::ValuesIn(AllCases()), Name);

}  // namespace
}  // namespace baton::integration
