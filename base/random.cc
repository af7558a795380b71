#include "base/random.h"

#include <mutex>
#include <random>

#include "fmt/format.h"

namespace baton {
namespace {

class SystemRandom final : public Random {
 public:
  uint64_t Next() override {
    std::lock_guard lock(mutex_);
    return (uint64_t{device_()} << 32) | device_();
  }

 private:
  std::mutex mutex_;
  std::random_device device_;
};

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  uint64_t Next() override {
    std::lock_guard lock(mutex_);
    return engine_();
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace

JobId Random::NewJobId() {
  std::array<uint8_t, 16> bytes;
  for (size_t half = 0; half < 2; ++half) {
    uint64_t value = Next();
    for (size_t i = 0; i < 8; ++i, value >>= 8) bytes[half * 8 + i] = static_cast<uint8_t>(value);
  }
  return JobId::FromBytes(bytes);
}

Incarnation Random::NewIncarnation() { return Incarnation(fmt::format("{:016x}", Next())); }

Duration Random::Below(Duration span) {
  if (span <= Duration::zero()) return Duration::zero();
  return Duration(static_cast<int64_t>(Next() % static_cast<uint64_t>(span.count())));
}

RandomPtr NewSystemRandom() { return std::make_shared<SystemRandom>(); }
RandomPtr NewSeededRandom(uint64_t seed) { return std::make_shared<SeededRandom>(seed); }

}  // namespace baton
