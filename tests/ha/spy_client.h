// A CoordinationClient that passes everything on, counts the multis and the reads, and can refuse
// the multis.

#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ha/coordination_client.h"

namespace baton {

class SpyClient final : public CoordinationClient {
 public:
  explicit SpyClient(CoordinationClientPtr inner) : inner_(std::move(inner)) {}

  std::vector<size_t> multi_sizes;  // in ops, in the order of the calls
  std::function<void(const std::vector<CoordinationOp>&)> on_multi;  // before it is sent
  std::optional<absl::Status> refusal;  // of every multi, instead of sending it
  size_t most_reads = 0;                // that were under way at one time

  void Start(std::function<void(SessionEvent)> listener) override {
    inner_->Start(std::move(listener));
  }
  void Close() override { inner_->Close(); }
  void Get(std::string path, Watcher watcher, Callback<NodeData> callback) override {
    inner_->Get(std::move(path), std::move(watcher), Counted<NodeData>(std::move(callback)));
  }
  void Children(std::string path, Watcher watcher,
                Callback<std::vector<std::string>> callback) override {
    inner_->Children(std::move(path), std::move(watcher),
                     Counted<std::vector<std::string>>(std::move(callback)));
  }
  void Create(std::string path, std::string data, NodeKind kind, StatusCallback callback) override {
    inner_->Create(std::move(path), std::move(data), kind, std::move(callback));
  }
  void Set(std::string path, std::string data, int32_t version,
           Callback<NodeStat> callback) override {
    inner_->Set(std::move(path), std::move(data), version, std::move(callback));
  }
  void Delete(std::string path, int32_t version, StatusCallback callback) override {
    inner_->Delete(std::move(path), version, std::move(callback));
  }
  void Multi(std::vector<CoordinationOp> ops, MultiCallback callback) override {
    multi_sizes.push_back(ops.size());
    if (on_multi) on_multi(ops);
    if (!refusal) return inner_->Multi(std::move(ops), std::move(callback));
    // Answered after a round trip, in order.
    inner_->Sync("/", [callback = std::move(callback), refusal = *refusal](absl::Status) mutable {
      callback({std::move(refusal), std::nullopt});
    });
  }
  void Sync(std::string path, StatusCallback callback) override {
    inner_->Sync(std::move(path), std::move(callback));
  }

 private:
  template <class T>
  Callback<T> Counted(Callback<T> callback) {
    most_reads = std::max(most_reads, ++*reads_);
    return [reads = reads_, callback = std::move(callback)](absl::StatusOr<T> answer) mutable {
      --*reads;
      callback(std::move(answer));
    };
  }

  const CoordinationClientPtr inner_;
  const std::shared_ptr<size_t> reads_ = std::make_shared<size_t>(0);  // under way
};

}  // namespace baton
