// The TaskManager's end of the talk with its guardian, with a guardian that the test plays.

#include "taskmanager/guardian_channel.h"

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <utility>

#include "base/log.h"
#include "rpc/attempt_id.h"
#include "taskmanager/guardian/message_socket.h"
#include "tests/taskmanager/process_world.h"

namespace baton {
namespace {

// A process for the channel to end.
pid_t SpawnSleeper() {
  pid_t pid = -1;
  std::string program = "sleep", argument = "600";
  char* arguments[] = {program.data(), argument.data(), nullptr};
  EXPECT_EQ(posix_spawnp(&pid, "sleep", nullptr, nullptr, arguments, environ), 0);
  return pid;
}

std::string EndOf(uint32_t subtask) {
  pb::GuardianEvent event;
  *event.mutable_ended()->mutable_id() =
      ToProto({.job = JobId::FromKey("job"), .vertex = 0, .subtask = subtask, .epoch = {1}});
  event.mutable_ended()->mutable_report()->set_outcome(pb::FinalReport::EXITED);
  return event.SerializeAsString();
}

TEST(GuardianChannelTest, TheLastReportsOfAGuardianThatDiesUnderARequestAreHeard) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  GuardianProcess first;
  first.pid = SpawnSleeper();
  first.socket = std::make_unique<guardian::MessageSocket>(ends[0]);
  auto guardian = std::make_unique<guardian::MessageSocket>(ends[1]);

  std::promise<void> busy, dead;
  std::atomic<int> heard = 0;
  std::atomic<bool> lost = false;
  GuardianChannel::Handlers handlers;
  handlers.on_events = [&](std::vector<pb::GuardianEvent> events) {
    if (heard == 0) {
      busy.set_value();
      dead.get_future().wait();
    }
    heard += static_cast<int>(events.size());
  };
  handlers.on_lost = [&](const std::string&) { lost = true; };
  GuardianOptions options;
  options.binary = "/nonexistent/guardian";
  GuardianChannel channel(options, std::move(first), std::move(handlers));

  ASSERT_TRUE(guardian->Queue(EndOf(0)).ok() && guardian->Flush().ok());
  busy.get_future().wait();
  // While the channel's thread is busy: more reports, the death, and a request to the dead.
  for (uint32_t i = 1; i < 4; ++i) ASSERT_TRUE(guardian->Queue(EndOf(i)).ok());
  ASSERT_TRUE(guardian->Flush().ok());
  guardian = nullptr;
  pb::GuardianRequest request;
  request.mutable_set_lease()->set_deadline_ns(1);
  ASSERT_TRUE(channel.Send(GuardianGeneration{}, request).ok());
  dead.set_value();
  ASSERT_TRUE(Eventually([&] { return lost.load(); }));
  EXPECT_EQ(heard, 4) << "tasks that have ended would run again";
}

// Its binary does not work for a moment (an upgrade, a disk that fails): that is said once, and the
// next guardian comes when it can.
TEST(GuardianChannelTest, ThatNoGuardianCanBeStartedIsSaidOnceAndTriedOn) {
  TemporaryDirectory directory;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  GuardianProcess first;
  first.pid = SpawnSleeper();
  first.socket = std::make_unique<guardian::MessageSocket>(ends[0]);
  close(ends[1]);  // it is dead

  std::atomic<int> failures = 0, restarts = 0, errors = 0;
  GuardianChannel::Handlers handlers;
  handlers.on_events = [](auto&&) {};
  handlers.on_lost = [](auto&&) {};
  handlers.on_restart_failed = [&](const std::string&) { ++failures; };
  handlers.on_restarted = [&](auto&&...) { ++restarts; };
  log::SetSink([&](log::Level, const std::string& line) {
    errors += line.find("cannot start a guardian") != std::string::npos;
  });
  GuardianOptions options;
  options.binary = directory.path() + "/guardian";
  options.name = "test";
  options.work_directory = directory.path();
  options.liveness_address = "127.0.0.1:0";
  const std::string tries = directory.path() + "/tries";
  std::ofstream(options.binary) << "#!/bin/sh\nprintf x >> " << tries << "\n";
  std::filesystem::permissions(options.binary, std::filesystem::perms::owner_all);
  {
    GuardianChannel channel(options, std::move(first), std::move(handlers));
    ASSERT_TRUE(Eventually([&] { return ReadWholeFile(tries).size() >= 3; }));
    EXPECT_EQ(restarts, 0);
    std::filesystem::create_symlink(GuardianBinary(), options.binary + ".new");
    std::filesystem::rename(options.binary + ".new", options.binary);
    ASSERT_TRUE(Eventually([&] { return restarts == 1; }));
  }
  log::SetSink(nullptr);
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(errors, 1);
}

}  // namespace
}  // namespace baton
