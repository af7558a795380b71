// The TaskManager's end of the talk with its guardian, with a guardian that the test plays.

#include "taskmanager/guardian_channel.h"

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <utility>

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

}  // namespace
}  // namespace baton
