#include "rpc/refusal_log.h"

#include "base/log.h"
#include "base/status.h"

namespace baton {

void RefusalLog::Warn(const std::string& peer, const absl::Status& why) {
  const TimePoint now = executor_->Now();
  std::string name = peer;
  if (!said_.contains(name) && said_.size() >= kMaxPeers) {
    std::erase_if(said_, [now](const auto& entry) { return now - entry.second.at >= kInterval; });
    if (said_.size() >= kMaxPeers) name = "others";
  }
  auto [entry, is_new] = said_.try_emplace(name, Said{now});
  Said& said = entry->second;
  if (!is_new && now - said.at < kInterval) {
    ++said.unsaid;
    return;
  }
  log::Warning("link refused peer={} before={} why=\"{}\"", name, said.unsaid, Message(why));
  said = {now, 0};
}

std::string HostOfPeer(const std::string& address) { return address.substr(0, address.rfind(':')); }

}  // namespace baton
