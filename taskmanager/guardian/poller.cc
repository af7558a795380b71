#include "taskmanager/guardian/poller.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/status.h"

namespace baton::guardian {
namespace {

constexpr uint64_t kTimerEvent = 0;

}  // namespace

Poller::~Poller() {
  if (epoll_ >= 0) close(epoll_);
  if (timer_ >= 0) close(timer_);
}

absl::Status Poller::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  timer_ = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (epoll_ < 0 || timer_ < 0) return Internal("epoll or timerfd: {}", std::strerror(errno));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kTimerEvent}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
  return absl::OkStatus();
}

Poller::WatchId Poller::Watch(int fd, Handler handler) {
  const WatchId id = ++last_id_;
  epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return 0;
  watched_.emplace(id, Watched{fd, std::move(handler)});
  return id;
}

void Poller::WantWrite(WatchId id, bool wanted) {
  auto it = watched_.find(id);
  if (it == watched_.end()) return;
  epoll_event event{.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data = {.u64 = id}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, it->second.fd, &event);
}

void Poller::Unwatch(WatchId id) {
  auto it = watched_.find(id);
  if (it == watched_.end()) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, it->second.fd, nullptr);
  watched_.erase(it);
}

void Poller::RunOnce(TimePoint deadline) {
  SetTimer(deadline);
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 == kTimerEvent) {
      uint64_t expirations;
      [[maybe_unused]] ssize_t n = read(timer_, &expirations, sizeof expirations);
      continue;
    }
    auto it = watched_.find(events[i].data.u64);
    if (it == watched_.end()) continue;
    const Handler handler = it->second.handler;  // it may remove itself
    handler();
  }
}

void Poller::SetTimer(TimePoint deadline) {
  itimerspec at{};  // zero disarms
  if (deadline != TimePoint::max()) {
    // A deadline of zero or before would disarm the timer instead of firing at once.
    const int64_t ns = std::max<int64_t>(deadline.time_since_epoch().count(), 1);
    at.it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
}

}  // namespace baton::guardian
