#include "store/store_health.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr Duration kFailsFor = std::chrono::seconds(30);

template <class Callback>
auto Watch(StoreHealthPtr health, Callback callback) {
  return [health = std::move(health), callback = std::move(callback)](auto answer) mutable {
    health->Note(answer.status());
    callback(std::move(answer));
  };
}

class WatchedKvEngine final : public KvEngine {
 public:
  WatchedKvEngine(KvEnginePtr engine, StoreHealthPtr health)
      : engine_(std::move(engine)), health_(std::move(health)) {}

  void Write(std::vector<KvWrite> writes, StatusCallback callback) override {
    engine_->Write(std::move(writes),
                   [health = health_, callback = std::move(callback)](absl::Status status) mutable {
                     health->Note(status);
                     callback(std::move(status));
                   });
  }
  void Get(std::string family, std::string key, GetCallback callback) override {
    engine_->Get(std::move(family), std::move(key), Watch(health_, std::move(callback)));
  }
  void Keys(std::string family, std::string prefix, KeysCallback callback) override {
    engine_->Keys(std::move(family), std::move(prefix), Watch(health_, std::move(callback)));
  }
  void Scan(std::string family, std::string after, size_t limit, ScanCallback callback) override {
    engine_->Scan(std::move(family), std::move(after), limit, Watch(health_, std::move(callback)));
  }
  void Stop() override { engine_->Stop(); }

 private:
  const KvEnginePtr engine_;
  const StoreHealthPtr health_;
};

}  // namespace

void StoreHealth::Note(const absl::Status& outcome) {
  const bool sick = absl::IsInternal(outcome) || absl::IsDataLoss(outcome);
  if (!sick) return;
  const bool before = fails();
  failed_at_ = clock_->Now();
  failed_ = true;
  if (!before) log::Error("the store fails error=\"{}\"", Message(outcome));
}

bool StoreHealth::fails() const { return failed_ && clock_->Now() - failed_at_.load() < kFailsFor; }

KvEnginePtr NewWatchedKvEngine(KvEnginePtr engine, StoreHealthPtr health) {
  return std::make_shared<WatchedKvEngine>(std::move(engine), std::move(health));
}

}  // namespace baton
