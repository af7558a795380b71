// Clocks that jump and processors that are not given: neither decides anything.

#include <time.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "fmt/core.h"
#include "integration/cluster_test.h"
#include "integration/steady_client.h"
#include "rest/client/wait.h"

namespace baton::integration {
namespace {

// libfaketime (Debian: libfaketime); empty: not installed.
std::string FakeTimeLibrary() {
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib")) {
    const auto library = entry.path() / "faketime/libfaketimeMT.so.1";
    if (std::filesystem::exists(library)) return library;
  }
  return "";
}

class WallClockTest : public ClusterTest {
 protected:
  // "+30d": so far from the true time. Read by the process at every look at its clock.
  static std::string ClockFile() { return cluster().SharedDirectory() + "/clock"; }
  static void SetClock(const std::string& offset) { std::ofstream(ClockFile()) << offset; }

  std::string MakeLeaderWithAClockOfItsOwn() {
    const std::string library = FakeTimeLibrary();
    EXPECT_NE(library, "") << "libfaketime is not installed (./dev setup)";
    SetClock("+0");
    // Only the wall clock: the clocks that count since boot do not jump on any machine.
    return MakeLeaderWith({{"LD_PRELOAD", library},
                           {"FAKETIME_TIMESTAMP_FILE", ClockFile()},
                           {"FAKETIME_NO_CACHE", "1"},
                           {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}});
  }
};

TEST_F(WallClockTest, F30TheLeadersClockJumpsBothWays) {
  const std::string leader = MakeLeaderWithAClockOfItsOwn();
  ASSERT_FALSE(leader.empty());
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();
  std::vector<std::string> jobs;
  // By less than results are kept (jobstore.expiration-time): their age is the one thing that wall
  // clocks are asked for. Back by less than the machine is up: libfaketime shifts timers that are
  // set by the time since boot, too; what was to fire at once would fire days later.
  timespec uptime{};
  clock_gettime(CLOCK_BOOTTIME, &uptime);
  const std::string back = fmt::format("-{}", uptime.tv_sec / 2);
  for (const std::string& offset :
       {std::string("+0"), std::string("+1d"), back, std::string("+0")}) {
    SetClock(offset);
    jobs.push_back(NewJobId());
    const auto reply = Put(Balancer(), jobs.back(), QuickJob());
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status, 202) << offset << ": " << reply->body;
    // No result is too old, no timeout has passed, no lease is over.
    for (const std::string& job : jobs) ExpectRanOnce(job);
    EXPECT_EQ(Leader(), before) << offset;
    EXPECT_EQ(JobState(held), "RUNNING") << offset;
  }

  // Its successor has the true time.
  SetClock("+1d");
  Kill(leader);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  ExpectServes();
  for (const std::string& job : jobs) ExpectRanOnce(job);
  ExpectUndisturbed(held, 3);
}

// Takes the processor from a process for most of the time, until destroyed.
class Starvation {
 public:
  explicit Starvation(std::function<void(int signal)> signal)
      : signal_(std::move(signal)), thread_([this] { Run(); }) {}
  ~Starvation() {
    stopping_ = true;
    thread_.join();
  }
  int cycles() const { return cycles_; }

 private:
  void Run() {
    while (!stopping_) {
      signal_(SIGSTOP);
      RestUntil(Clock::now() + std::chrono::milliseconds(190));
      signal_(SIGCONT);
      RestUntil(Clock::now() + std::chrono::milliseconds(10));
      ++cycles_;
    }
  }

  const std::function<void(int signal)> signal_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> cycles_ = 0;
  std::thread thread_;
};

class StarvationTest : public ClusterTest {};

TEST_F(StarvationTest, F31TheLeaderGetsATwentiethOfAProcessor) {
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();
  const ProcessId process = cluster().state().Find(before.replica)->process;
  SteadyClient client(Balancer());
  {
    Starvation starvation([&](int signal) { (void)SendSignal(process, signal); });
    ASSERT_TRUE(Eventually([&] { return starvation.cycles() > 40; }));
  }
  ASSERT_TRUE(Eventually(Calm));
  // Slow is not dead: it leads on, or has handed over, but nobody fights.
  EXPECT_LE(Leader().epoch, before.epoch + 1);
  client.Stop();
  EXPECT_GT(client.acknowledged_so_far(), 0u);
  for (const std::string& error : client.errors()) ADD_FAILURE() << error;
  for (const std::string& job : client.acknowledged()) ExpectRanOnce(job);
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

}  // namespace
}  // namespace baton::integration
