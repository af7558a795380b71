#include "rpc/asio_frame_connection.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <utility>
#include <vector>
// Boost 1.74's Asio needs <utility> first in C++20.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#include "base/status.h"
#include "rpc/frame_decoder.h"

namespace baton {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kHeaderBytes = FrameDecoder::kHeaderBytes;
constexpr size_t kMaxQueuedBytes = 64 << 20;
// One frame of the greatest size always fits; beyond, reading waits for the callbacks.
constexpr size_t kMaxUndeliveredBytes = 32 << 20;
constexpr size_t kCoalesceBytes = 64 << 10;
constexpr size_t kMaxWriteBytes = 1 << 20;
constexpr Duration kLinger = std::chrono::seconds(1);

std::string Header(size_t frame_bytes) {
  const auto size = static_cast<uint32_t>(frame_bytes);
  return {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
          static_cast<char>(size >> 8), static_cast<char>(size)};
}

// Execution: socket and reading state on strand_; the queue of frames to send under mutex_, because
// any thread may send. The pending read keeps the object alive; closing the socket ends it.
class AsioFrameConnection final : public FrameConnection,
                                  public std::enable_shared_from_this<AsioFrameConnection> {
 public:
  AsioFrameConnection(ThreadPool& pool, int socket, std::string peer_address, ExecutorPtr executor)
      : executor_(std::move(executor)),
        peer_address_(std::move(peer_address)),
        strand_(asio::make_strand(pool.io_context())),
        socket_(strand_) {
    error_code error;
    socket_.assign(tcp::v4(), socket, error);
    if (error) ::close(socket);  // the first read says so
  }

  void Start(Callbacks callbacks) override {
    auto shared = std::make_shared<Callbacks>(std::move(callbacks));
    asio::post(strand_, [self = shared_from_this(), shared = std::move(shared)]() mutable {
      self->callbacks_ = std::move(shared);
      if (self->over_) {
        self->TellClosed();
      } else {
        self->Read();
      }
    });
  }

  void Send(std::string frame) override {
    std::lock_guard lock(mutex_);
    if (closing_) return;
    if (frame.size() > kMaxFrameBytes) {
      return CloseLocked(InvalidArgument("a frame of {} bytes to {} is over the limit",
                                         frame.size(), peer_address_),
                         Rest::kDrop);
    }
    queued_bytes_ += kHeaderBytes + frame.size();
    if (queued_bytes_ > kMaxQueuedBytes) {
      return CloseLocked(ResourceExhausted("{} does not read: more than {} MiB wait to be sent",
                                           peer_address_, kMaxQueuedBytes >> 20),
                         Rest::kDrop);
    }
    queue_.push_back(std::move(frame));
    if (std::exchange(writing_, true)) return;
    asio::post(strand_, [self = shared_from_this()] { self->Write(); });
  }

  void Close() override {
    std::lock_guard lock(mutex_);
    if (!closing_) CloseLocked(Aborted("closed on this side"), Rest::kWrite);
  }

  void LimitFrames(size_t bytes) override { frame_limit_ = std::min(bytes, kMaxFrameBytes); }

  std::string peer_address() const override { return peer_address_; }

 private:
  // What becomes of the frames that are queued when the connection ends.
  enum class Rest { kWrite, kDrop };

  void CloseLocked(absl::Status why, Rest rest) {
    closing_ = true;
    asio::post(strand_, [self = shared_from_this(), why = std::move(why), rest]() mutable {
      self->End(std::move(why), rest);
    });
  }

  // --- On strand_ from here.

  void Read() {
    if (over_) return;
    if (undelivered_bytes_->load() > kMaxUndeliveredBytes) {
      read_waits_ = true;
      // The last callback may have run between the look and the flag.
      if (undelivered_bytes_->load() > kMaxUndeliveredBytes || !read_waits_.exchange(false)) return;
    }
    const std::span<char> room = decoder_.Room();
    socket_.async_read_some(asio::buffer(room.data(), room.size()),
                            [self = shared_from_this()](const error_code& error, size_t count) {
                              if (self->over_) return;
                              if (error) return self->End(Broken(error), Rest::kDrop);
                              self->decoder_.Add(count);
                              self->TakeFrames();
                              self->Read();
                            });
  }

  void TakeFrames() {
    FrameDecoder::Taken taken = decoder_.Take(frame_limit_);
    if (!taken.frames.empty()) Deliver(std::move(taken.frames), taken.bytes);
    if (taken.oversized) {
      End(InvalidArgument("{} sent a frame over the limit of {} bytes", peer_address_,
                          frame_limit_.load()),
          Rest::kDrop);
    }
  }

  void Deliver(std::vector<std::string> frames, size_t bytes) {
    *undelivered_bytes_ += bytes;
    executor_->Post([weak = weak_from_this(), undelivered = undelivered_bytes_, bytes,
                     callbacks = callbacks_, frames = std::move(frames)]() mutable {
      for (auto& frame : frames) callbacks->on_frame(std::move(frame));
      *undelivered -= bytes;
      auto self = weak.lock();
      if (self && *undelivered <= kMaxUndeliveredBytes && self->read_waits_.exchange(false)) {
        asio::post(self->strand_, [self] { self->Read(); });
      }
    });
  }

  void Write() {
    TakeQueued();
    if (out_.empty() || !socket_.is_open()) return;
    std::vector<asio::const_buffer> buffers;
    for (const auto& piece : out_) buffers.push_back(asio::buffer(piece));
    asio::async_write(socket_, buffers,
                      [self = shared_from_this()](const error_code& error, size_t count) {
                        self->out_.clear();
                        if (error) return self->End(Broken(error), Rest::kDrop);
                        {
                          std::lock_guard lock(self->mutex_);
                          self->queued_bytes_ -= count;
                        }
                        self->Write();
                      });
  }

  // Small frames are copied together: a batch of them costs one system call.
  void TakeQueued() {
    std::lock_guard lock(mutex_);
    size_t bytes = 0;
    while (!queue_.empty() && bytes < kMaxWriteBytes) {
      std::string frame = std::move(queue_.front());
      queue_.pop_front();
      bytes += kHeaderBytes + frame.size();
      if (out_.empty() || out_.back().size() + kHeaderBytes + frame.size() > kCoalesceBytes) {
        out_.emplace_back();
      }
      out_.back() += Header(frame.size());
      if (frame.size() >= kCoalesceBytes) {
        out_.push_back(std::move(frame));
      } else {
        out_.back() += frame;
      }
    }
    if (out_.empty()) {
      writing_ = false;
      if (over_) CloseSocket();  // what lingered is written
    }
  }

  void End(absl::Status why, Rest rest) {
    bool lingers = false;
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      if (rest == Rest::kDrop) queue_.clear();
      lingers = rest == Rest::kWrite && writing_;
    }
    if (!lingers) CloseSocket();
    if (over_) return;
    over_ = true;
    why_ = std::move(why);
    if (lingers) Linger();
    if (callbacks_) TellClosed();
  }

  // What was queued before Close (the reason of a refusal, say) is still written, in bounded time.
  void Linger() {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_receive, ignored);
    executor_->PostAfter(kLinger, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (self) asio::post(self->strand_, [self] { self->CloseSocket(); });
    });
  }

  void TellClosed() {
    // The callbacks go with it: they may own this connection's owner.
    executor_->Post([callbacks = std::move(callbacks_), why = std::move(why_)]() mutable {
      callbacks->on_closed(std::move(why));
    });
  }

  void CloseSocket() {
    error_code ignored;
    socket_.close(ignored);
  }

  static absl::Status Broken(const error_code& error) {
    // Never kUnavailable: that says "refused", and a broken connection proves nobody dead.
    if (error == asio::error::eof) return Aborted("closed by the other side");
    return Aborted("the connection broke: {}", error.message());
  }

  const ExecutorPtr executor_;
  const std::string peer_address_;
  asio::strand<asio::io_context::executor_type> strand_;

  // On strand_:
  tcp::socket socket_;
  std::shared_ptr<Callbacks> callbacks_;
  FrameDecoder decoder_;
  std::vector<std::string> out_;  // being written
  bool over_ = false;
  absl::Status why_;

  // Shared with callbacks on executor_:
  std::shared_ptr<std::atomic<size_t>> undelivered_bytes_ =
      std::make_shared<std::atomic<size_t>>(0);
  std::atomic<bool> read_waits_ = false;
  std::atomic<size_t> frame_limit_ = kMaxFrameBytes;

  std::mutex mutex_;
  // Guarded by mutex_:
  std::deque<std::string> queue_;
  size_t queued_bytes_ = 0;  // out_ included
  bool writing_ = false;     // Write is posted or under way
  bool closing_ = false;
};

}  // namespace

FrameConnectionPtr NewAsioFrameConnection(ThreadPool& pool, int socket, std::string peer_address,
                                          ExecutorPtr executor) {
  return std::make_shared<AsioFrameConnection>(pool, socket, std::move(peer_address),
                                               std::move(executor));
}

}  // namespace baton
