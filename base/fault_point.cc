#include "base/fault_point.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <utility>

namespace baton {
namespace {

constexpr std::string_view kHang = "=hang";

struct Armed {
  std::string name;
  std::atomic<int> remaining{0};
  bool hang = false;  // rather than die
  std::function<void(std::string_view)> handler;
};

Armed& TheArmed() {
  static Armed& armed = *new Armed;
  return armed;
}

std::atomic<bool> any_armed{false};

}  // namespace

void ArmFaultPointsFromEnvironment() {
  const char* value = std::getenv("BATON_FAULT_POINT");
  if (value == nullptr || *value == '\0') return;
  std::string name = value;
  TheArmed().hang = name.ends_with(kHang);
  if (TheArmed().hang) name.resize(name.size() - kHang.size());
  int count = 1;
  if (const auto colon = name.rfind(':'); colon != std::string::npos) {
    count = std::max(1, std::atoi(name.c_str() + colon + 1));
    name.resize(colon);
  }
  TheArmed().name = std::move(name);
  TheArmed().remaining = count;
  any_armed = true;
}

void SetFaultPointHandler(std::function<void(std::string_view)> handler) {
  any_armed = static_cast<bool>(handler);
  TheArmed().handler = std::move(handler);
}

void FaultPoint(std::string_view name) {
  if (!any_armed.load(std::memory_order_relaxed)) return;
  Armed& armed = TheArmed();
  if (armed.handler) {
    armed.handler(name);
  } else if (name == armed.name && armed.remaining.fetch_sub(1) == 1) {
    while (armed.hang) pause();
    _exit(kFaultPointExitCode);
  }
}

}  // namespace baton
