// A connection whose other side is the fuzzer: what comes is bytes, taken apart by the decoder of
// the real one, in pieces of any size.

#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/status.h"
#include "rpc/frame_decoder.h"
#include "rpc/frame_transport.h"
#include "tests/fuzz/fuzz.h"

namespace baton::fuzz {

class FedConnection final : public FrameConnection,
                            public std::enable_shared_from_this<FedConnection> {
 public:
  explicit FedConnection(ExecutorPtr executor) : executor_(std::move(executor)) {}

  void Start(Callbacks callbacks) override { callbacks_ = std::move(callbacks); }
  void Send(std::string frame) override {
    if (open_) sent_.push_back(std::move(frame));
  }
  void Close() override { End(Aborted("closed on this side")); }
  void LimitFrames(size_t bytes) override { limit_ = std::min(bytes, kMaxFrameBytes); }
  std::string peer_address() const override { return "fuzzer:1"; }

  // `bytes` come, at most `piece` of them at a time.
  void Feed(std::string_view bytes, size_t piece) {
    while (open_ && !bytes.empty()) {
      const auto room = decoder_.Room();
      const size_t count = std::min({bytes.size(), piece, room.size()});
      std::memcpy(room.data(), bytes.data(), count);
      bytes.remove_prefix(count);
      decoder_.Add(count);
      auto taken = decoder_.Take(limit_);
      for (auto& frame : taken.frames) {
        FUZZ_CHECK(frame.size() <= limit_, "a frame over the limit");
        Deliver(std::move(frame));
      }
      if (taken.oversized) End(InvalidArgument("a frame over the limit"));
      fed_ += count;
      FUZZ_CHECK(decoder_.capacity() <= 4 * fed_ + 4 * FrameDecoder::kReadBytes,
                 "the decoder holds more than what came");
    }
  }

  void Break() { End(Aborted("closed by the other side")); }
  bool open() const { return open_; }
  // What this side sent; the fuzzer's share of a handshake reads it.
  std::vector<std::string> TakeSent() { return std::exchange(sent_, {}); }

 private:
  void Deliver(std::string frame) {
    executor_->Post([self = shared_from_this(), frame = std::move(frame)]() mutable {
      if (self->callbacks_.on_frame) self->callbacks_.on_frame(std::move(frame));
    });
  }

  void End(absl::Status why) {
    if (!std::exchange(open_, false)) return;
    executor_->Post([self = shared_from_this(), why = std::move(why)] {
      auto callbacks = std::exchange(self->callbacks_, {});
      if (callbacks.on_closed) callbacks.on_closed(why);
    });
  }

  const ExecutorPtr executor_;
  Callbacks callbacks_;
  FrameDecoder decoder_;
  size_t limit_ = kMaxFrameBytes;
  size_t fed_ = 0;
  bool open_ = true;
  std::vector<std::string> sent_;
};

// A network on which only the fuzzer connects.
class FedTransport final : public FrameTransport {
 public:
  void Connect(const std::string& address, Duration, ExecutorPtr executor,
               ConnectCallback callback) override {
    executor->Post([address, callback = std::move(callback)]() mutable {
      callback(Unavailable("{} refused the connection", address));
    });
  }

  absl::StatusOr<std::unique_ptr<FrameListener>> Listen(const std::string& address, ExecutorPtr,
                                                        AcceptCallback on_accept) override {
    on_accept_ = std::move(on_accept);
    return std::make_unique<Listener>(address);
  }

  void Accept(FrameConnectionPtr connection) { on_accept_(std::move(connection)); }

 private:
  struct Listener final : FrameListener {
    explicit Listener(std::string at) : at_(std::move(at)) {}
    std::string address() const override { return at_; }
    const std::string at_;
  };

  AcceptCallback on_accept_;
};

}  // namespace baton::fuzz
