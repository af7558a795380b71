#include "ha/zookeeper_log.h"

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "base/log.h"

namespace baton::zookeeper {
namespace {

constexpr size_t kMaxRemembered = 64;

struct Logged {
  std::mutex mutex;
  std::set<std::string, std::less<>> messages;
};

Logged& TheLogged() {
  static Logged& logged = *new Logged;  // the C client's threads may log until the very end
  return logged;
}

// "2026-01-01 00:00:00,000:1(0x7f):ZOO_ERROR@check_events@2985: text\n" without time and thread.
std::string_view WithoutPrefix(std::string_view message) {
  if (const size_t level = message.find(":ZOO_"); level != message.npos) {
    message.remove_prefix(level + 1);
  }
  while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
  return message;
}

}  // namespace

void LogFromClient(const char* message) {
  const std::string_view text = WithoutPrefix(message);
  Logged& logged = TheLogged();
  {
    std::lock_guard lock(logged.mutex);
    if (logged.messages.contains(text)) return;
    if (logged.messages.size() >= kMaxRemembered) logged.messages.clear();
    logged.messages.emplace(text);
  }
  // Its errors are what a network does; the session's own lines say what it means for us.
  log::Warning("zookeeper client: {}", text);
}

void ForgetLoggedMessages() {
  Logged& logged = TheLogged();
  std::lock_guard lock(logged.mutex);
  logged.messages.clear();
}

}  // namespace baton::zookeeper
