// Processes and their bookkeeping, with real processes.

#include "cli/cluster/process.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <set>

#include "cli/cluster/cluster_state.h"
#include "cli/cluster/ports.h"
#include "gtest/gtest.h"
#include "rest/client/wait.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

Clock::time_point Deadline() { return Clock::now() + std::chrono::seconds(30); }

SpawnSpec Shell(const std::string& script) {
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  spec.directory = "/";
  static const TemporaryDirectory place;
  spec.log_file = place.path() + "/log";
  spec.lifetime = Lifetime::kWithThisProcess;
  return spec;
}

std::string HowItEnds(const ProcessId& process) {
  std::optional<std::string> how;
  WaitUntil([&] { return (how = ReapIfEnded(process)).has_value(); }, Deadline());
  return how.value_or("never");
}

TEST(Process, TellsHowItEnded) {
  EXPECT_EQ(HowItEnds(*Spawn(Shell("exit 85"))), "exit 85");
  auto sleeper = Spawn(Shell("exec sleep 1000"));
  ASSERT_TRUE(sleeper.ok());
  EXPECT_TRUE(IsAlive(*sleeper));
  EXPECT_TRUE(SendSignal(*sleeper, SIGKILL).ok());
  EXPECT_EQ(HowItEnds(*sleeper), "SIGKILL");
  EXPECT_FALSE(IsAlive(*sleeper));
  EXPECT_TRUE(absl::IsNotFound(SendSignal(*sleeper, SIGKILL)));
}

// The pid belongs to somebody else now: nobody may be hit.
TEST(Process, APidWithAnotherStartTimeIsNotSignalled) {
  auto sleeper = Spawn(Shell("exec sleep 1000"));
  ASSERT_TRUE(sleeper.ok());
  ProcessId stale = *sleeper;
  stale.start_time -= 1;
  EXPECT_FALSE(IsAlive(stale));
  EXPECT_TRUE(absl::IsNotFound(SendSignal(stale, SIGKILL)));
  EXPECT_TRUE(IsAlive(*sleeper));
  EXPECT_TRUE(SendSignal(*sleeper, SIGKILL).ok());
  EXPECT_EQ(HowItEnds(*sleeper), "SIGKILL");
}

TEST(Process, AZombieIsNotAlive) {
  auto process = Spawn(Shell("exit 0"));
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(WaitUntil([&] { return !IsAlive(*process); }, Deadline()));
  EXPECT_EQ(HowItEnds(*process), "exit 0");
}

TEST(Process, StopsAndGoesOn) {
  auto sleeper = Spawn(Shell("exec sleep 1000"));
  ASSERT_TRUE(sleeper.ok());
  EXPECT_FALSE(IsStopped(*sleeper));
  EXPECT_TRUE(SendSignal(*sleeper, SIGSTOP).ok());
  EXPECT_TRUE(WaitUntil([&] { return IsStopped(*sleeper); }, Deadline()));
  EXPECT_TRUE(IsAlive(*sleeper));
  EXPECT_TRUE(SendSignal(*sleeper, SIGCONT).ok());
  EXPECT_TRUE(WaitUntil([&] { return !IsStopped(*sleeper); }, Deadline()));
  EXPECT_TRUE(SendSignal(*sleeper, SIGKILL).ok());
  EXPECT_EQ(HowItEnds(*sleeper), "SIGKILL");
  EXPECT_FALSE(IsStopped(*sleeper));
}

TEST(Process, AMissingProgramIsAnErrorOfTheStarter) {
  SpawnSpec spec = Shell("");
  spec.argv = {"/nonexistent/program"};
  auto process = Spawn(spec);
  ASSERT_FALSE(process.ok());
  EXPECT_TRUE(absl::IsNotFound(process.status())) << process.status();
}

TEST(Process, GetsItsEnvironmentDirectoryAndLogAndASessionOfItsOwn) {
  SpawnSpec spec = Shell("echo \"$BATON_TEST $(pwd) $(ps -o sid= -p $$ | tr -d ' ') $$\"");
  spec.env = {{"BATON_TEST", "value"}};
  spec.directory = "/usr";
  std::filesystem::remove(spec.log_file);
  auto process = Spawn(spec);
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(HowItEnds(*process), "exit 0");
  const std::string pid = std::to_string(process->pid);
  EXPECT_EQ(*ReadFile(spec.log_file), "value /usr " + pid + " " + pid + "\n");
}

TEST(Process, KeepsNoDescriptorOfTheStarter) {
  SpawnSpec spec = Shell("ls /proc/$$/fd");
  std::filesystem::remove(spec.log_file);
  const int inherited = dup(1);  // without O_CLOEXEC
  auto process = Spawn(spec);
  close(inherited);
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(HowItEnds(*process), "exit 0");
  EXPECT_EQ(*ReadFile(spec.log_file), "0\n1\n2\n");
}

TEST(PortReservation, HoldsDifferentPortsUntilItIsReleased) {
  auto first = PortReservation::Take(30);
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = PortReservation::Take(30);
  ASSERT_TRUE(second.ok()) << second.status();
  std::set<uint16_t> all(first->ports().begin(), first->ports().end());
  all.insert(second->ports().begin(), second->ports().end());
  EXPECT_EQ(all.size(), 60u);
}

class ClusterStateTest : public testing::Test {
 protected:
  const TemporaryDirectory place_;
  const std::string& directory_ = place_.path();
};

TEST_F(ClusterStateTest, RemembersPortsAcrossDownAndProcessesUntilDown) {
  ClusterOptions options;
  options.directory = directory_;
  options.zookeepers = 3;
  std::function<void()> release;
  auto state = NewClusterState(options, &release);
  ASSERT_TRUE(state.ok());
  release();
  state->Find("replica-2")->process = {4711, 12345};
  ASSERT_TRUE(SaveLayout(*state).ok());
  ASSERT_TRUE(SaveProcesses(*state).ok());

  auto loaded = LoadClusterState(directory_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->Find("replica-2")->process, (ProcessId{4711, 12345}));
  EXPECT_EQ(loaded->Find("replica-2")->port, state->Find("replica-2")->port);
  EXPECT_EQ(loaded->ZooKeeperQuorum(), state->ZooKeeperQuorum());
  EXPECT_EQ(loaded->nodes.size(), 9u);

  ASSERT_TRUE(RemoveProcesses(*state).ok());
  loaded = LoadClusterState(directory_);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->Find("replica-2")->process.pid, 0);
  EXPECT_EQ(loaded->Find("replica-2")->port, state->Find("replica-2")->port);
}

TEST_F(ClusterStateTest, ADirectoryWithoutAClusterSaysWhatToDo) {
  const auto state = LoadClusterState(directory_ + "/none");
  EXPECT_TRUE(absl::IsNotFound(state.status()));
  EXPECT_NE(state.status().ToString().find("baton cluster up --dir"), std::string::npos);
}

}  // namespace
}  // namespace baton
