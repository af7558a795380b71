// Leaders that are silent but not dead: stopped, or hanging. Their peers replace them; what wakes
// up later commits nothing, answers as no leader, and no TaskManager obeys it (P3).

#include <csignal>
#include <thread>

#include "integration/cluster_test.h"
#include "integration/late_writes.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// There is one take-over from a silent leader a minute, and another test may have had the last one.
constexpr seconds kMinuteAndMore(120);
// A loop that does not end costs its process 30 s after it began (watchdog.h).
constexpr seconds kWatchdogAndMore(90);

class SilentLeaderTest : public ClusterTest {
 protected:
  static std::string NewestCause(const std::string& replica) {
    const auto reply = Get(Rest(replica), "/v1/failovers");
    if (!reply.ok()) return "";
    const auto answer = nlohmann::json::parse(reply->body, nullptr, false);
    if (!answer.is_object() || answer["failovers"].empty()) return "";
    return answer["failovers"][0].value("cause", "");
  }
};

// Its session lives on and its kernel accepts: only its peers can tell.
TEST_F(SilentLeaderTest, ALeaderWhoseStrandHangsIsReplacedAndEndsItself) {
  const std::string held = StartHeldJob(2);
  const std::string leader =
      MakeLeaderWith({{"BATON_FAULT_POINT", "submission.pointer-committed=hang"}});
  ASSERT_FALSE(leader.empty());
  ExpectAccepted(kMinuteAndMore);
  const std::string next = Leader().replica;
  EXPECT_NE(next, leader);
  EXPECT_EQ(NewestCause(next), "silence");
  // It ends itself; its supervisor brings it back, and it is a replica like the others.
  const auto end = cluster().WaitForExit(leader, kWatchdogAndMore);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, "exit 86");
  Restart(leader);
  ASSERT_TRUE(Eventually(Calm));
  ExpectUndisturbed(held, 2);
}

// For half a session, one, and two. Silence decides at most the first time, sessions the others.
TEST_F(SilentLeaderTest, F3ALeaderThatIsStoppedAndContinuedIsNobody) {
  const std::string held = StartHeldJob(2);
  for (const int percent : {50, 100, 200}) {
    const Leadership before = Leader();
    const std::string standby = Standbys().front();
    const std::string victim = StartHeldJob(1);
    Signal(before.replica, SIGSTOP);  // returns when it has stopped
    // What it finds in its sockets when it wakes (P3).
    LateWrites late(Rest(before.replica), victim);
    const auto wake_at =
        steady_clock::now() + cluster().state().options.session_timeout * percent / 100;
    // Held for whoever leads next, and new to him: who was stopped before the request was sent has
    // committed nothing of it. (A leader that stops between its commit and its answer leaves a job
    // that the next one knows: 200. FailoverSimulation.AJobThatADeadLeaderHadCommittedIsKnown…)
    const std::string job = NewJobId();
    const auto reply = Put(Rest(standby), job, QuickJob());
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status, 202) << reply->body;
    EXPECT_EQ(Leader().epoch, before.epoch + 1);
    std::this_thread::sleep_until(wake_at);  // the fault lasts so long, whatever the cluster does
    Signal(before.replica, SIGCONT);

    // From its first instant on.
    const auto until = steady_clock::now() + seconds(1);
    while (steady_clock::now() < until) {
      const auto leads = Get(Rest(before.replica), "/leader");
      ASSERT_TRUE(leads.ok()) << leads.status();
      EXPECT_NE(leads->status, 200) << leads->body;
    }
    const auto known = Get(Rest(before.replica), "/v1/jobs/" + job);
    ASSERT_TRUE(known.ok()) << known.status();
    EXPECT_EQ(known->status, 200) << known->body;
    EXPECT_EQ(known->Header("X-Baton-Epoch"), std::to_string(before.epoch + 1));
    ExpectRanOnce(job);
    ASSERT_TRUE(Eventually(Calm));
    ExpectFenced(late, before);
    EXPECT_EQ(Leader().epoch, before.epoch + 1) << "its waking cost somebody the leadership";
  }
  ExpectUndisturbed(held, 2);
}

}  // namespace
}  // namespace baton::integration
