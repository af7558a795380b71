#include "cli/drill/epoch_watch.h"

#include "cli/cluster/readiness.h"

namespace baton {
namespace {

// Often enough for a result in milliseconds, seldom enough not to be the load that is measured.
constexpr std::chrono::milliseconds kInterval(4);

}  // namespace

EpochWatch::EpochWatch(const std::vector<std::string>& urls, uint64_t epoch) : old_epoch_(epoch) {
  for (const std::string& url : urls) threads_.emplace_back([this, url] { Ask(url); });
}

EpochWatch::~EpochWatch() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
}

std::optional<EpochWatch::Sighting> EpochWatch::Wait(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  seen_.wait_until(lock, deadline, [this] { return sighting_.has_value(); });
  return sighting_;
}

void EpochWatch::Ask(const std::string& url) {
  auto client = ProbeClient(url);
  while (client.ok() && !stopping_) {
    const auto leader = (*client)->Leader();
    if (leader.ok() && leader->value.epoch > old_epoch_ && !leader->value.replica.empty()) {
      std::lock_guard lock(mutex_);
      if (!sighting_) sighting_ = Sighting{leader->value.epoch, Clock::now()};
      seen_.notify_all();
      return;
    }
    RestUntil(Clock::now() + kInterval);
  }
}

}  // namespace baton
