#include "dispatcher/job_master/restart_strategy.h"

#include "fmt/format.h"

namespace baton {

std::optional<Duration> RestartStrategy::NextDelay() {
  if (config_.type == RestartStrategyConfig::Type::kNone || used_ >= config_.attempts) {
    return std::nullopt;
  }
  ++used_;
  return config_.delay;
}

std::string RestartStrategy::Describe() const {
  if (config_.type == RestartStrategyConfig::Type::kNone) return "none";
  return fmt::format("fixed-delay: {} attempts, {} ms apart", config_.attempts,
                     ToMillis(config_.delay));
}

}  // namespace baton
