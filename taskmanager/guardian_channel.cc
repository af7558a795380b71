#include "taskmanager/guardian_channel.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "taskmanager/guardian/boot_time.h"
#include "taskmanager/guardian/process_tree.h"

namespace baton {
namespace {

constexpr Duration kPoliteEnd = std::chrono::seconds(10);
constexpr Duration kLeftoverPatience = std::chrono::seconds(1);
constexpr int kRestartPauseMs = 1000;

bool IsReadable(int fd) {
  pollfd readable{.fd = fd, .events = POLLIN};
  return poll(&readable, 1, 0) == 1 && (readable.revents & POLLIN) != 0;
}

}  // namespace

GuardianChannel::GuardianChannel(GuardianOptions options, GuardianProcess first, Handlers handlers)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      guardian_(std::move(first)) {
  thread_ = std::thread([this] { Run(); });
}

GuardianChannel::~GuardianChannel() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  close(wake_);
}

absl::Status GuardianChannel::Send(GuardianGeneration to, const pb::GuardianRequest& request) {
  {
    std::lock_guard lock(mutex_);
    if (to != generation_ || guardian_.pid < 0) return absl::OkStatus();
    if (auto status = guardian_.socket->Queue(request.SerializeAsString()); !status.ok()) {
      return status;
    }
  }
  Wake();
  return absl::OkStatus();
}

void GuardianChannel::KillGuardian() {
  std::lock_guard lock(mutex_);
  if (guardian_.pid > 0) kill(guardian_.pid, SIGKILL);
}

void GuardianChannel::Run() {
  while (true) {
    const std::string why = Serve();
    if (stopping()) break;
    log::Error("the guardian is dead: {}", why);
    EndGuardian(Duration::zero());
    handlers_.on_lost(why);
    Restart();
    if (stopping()) break;
  }
  EndGuardian(kPoliteEnd);
}

std::string GuardianChannel::Serve() {
  while (!stopping()) {
    short wanted = POLLIN;
    int fd;
    {
      std::lock_guard lock(mutex_);
      fd = guardian_.socket->fd();
      if (guardian_.socket->has_unsent()) wanted |= POLLOUT;
    }
    pollfd waiting[] = {{.fd = fd, .events = wanted}, {.fd = wake_, .events = POLLIN}};
    poll(waiting, 2, -1);
    uint64_t count;
    [[maybe_unused]] const ssize_t n = read(wake_, &count, sizeof count);
    if (auto status = Exchange(waiting[0].revents); !status.ok()) return Message(status);
  }
  return "";
}

absl::Status GuardianChannel::Exchange(short events) {
  std::vector<pb::GuardianEvent> received;
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    guardian::MessageSocket& socket = *guardian_.socket;
    const auto take = [&](std::string_view message) {
      received.emplace_back().ParseFromArray(message.data(), static_cast<int>(message.size()));
    };
    status = socket.Flush();
    if (!status.ok()) {
      // Its last reports may be here yet: without them a task that has succeeded would run again.
      while (IsReadable(socket.fd()) && socket.Receive(take).ok()) {
      }
    } else if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
      status = socket.Receive(take);
    }
  }
  if (!received.empty()) handlers_.on_events(std::move(received));
  return status;
}

// Closing the socket tells the guardian to end every task and itself.
void GuardianChannel::EndGuardian(Duration patience) {
  pid_t pid;
  {
    std::lock_guard lock(mutex_);
    guardian_.socket.reset();
    pid = std::exchange(guardian_.pid, -1);
    generation_ = GuardianGeneration{generation_.value + 1};
  }
  if (pid < 0) return;
  const TimePoint deadline = guardian::BootNow() + patience;
  while (waitpid(pid, nullptr, WNOHANG) == 0) {
    if (guardian::BootNow() >= deadline) kill(pid, SIGKILL);
    poll(nullptr, 0, 1);
  }
  // Its direct children died with it; the rest came to us.
  while (!guardian::KillAndReapAllChildren(kLeftoverPatience)) {
    log::Warning("waiting for processes of a dead guardian that do not die");
  }
}

// Tried for as long as it takes; what stands in the way is said once. (One cause may show in
// several ways: a program that ends at once is a broken pipe or a reset, as it happens.)
void GuardianChannel::Restart() {
  bool said = false;
  while (!stopping()) {
    auto next = StartGuardian(options_);
    if (next.ok()) {
      const GuardianAddress address{next->liveness_address, next->incarnation};
      GuardianGeneration generation;
      {
        std::lock_guard lock(mutex_);
        guardian_ = *std::move(next);
        generation = generation_;
      }
      handlers_.on_restarted(generation, address);
      return;
    }
    if (!std::exchange(said, true)) {
      log::Error("cannot start a guardian, trying on: {}", Message(next.status()));
      if (handlers_.on_restart_failed) handlers_.on_restart_failed(Message(next.status()));
    }
    pollfd woken{.fd = wake_, .events = POLLIN};
    poll(&woken, 1, kRestartPauseMs);
    uint64_t count;
    [[maybe_unused]] const ssize_t n = read(wake_, &count, sizeof count);
  }
}

bool GuardianChannel::stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void GuardianChannel::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_, &one, sizeof one);
}

}  // namespace baton
