// What the tests of links over real sockets share: a pool, waiting for conditions, raw sockets.

#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/asio_executor.h"
#include "base/status.h"
#include "rpc/asio_frame_transport.h"

namespace baton {

inline constexpr Duration kLong = std::chrono::seconds(30);

// A value that a callback brings from another thread.
template <class T>
class Eventually {
 public:
  void Set(T value) {
    std::lock_guard lock(mutex_);
    value_.emplace(std::move(value));
    changed_.notify_all();
  }
  void Wait() { (void)Get(); }
  // Aborts the wait after 30 s.
  T Get() {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, kLong, [&] { return value_.has_value(); });
    if (!came) {
      ADD_FAILURE() << "nothing came within 30 s";
      std::abort();
    }
    return *value_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<T> value_;
};

// Runs `task` on `executor` and waits until it has run.
inline void RunOn(Executor& executor, std::function<void()> task) {
  Eventually<bool> done;
  executor.Post([&] {
    task();
    done.Set(true);
  });
  done.Get();
}

inline int PortOf(const std::string& address) {
  return std::stoi(address.substr(address.rfind(':') + 1));
}

// A peer that speaks no protocol: a plain blocking socket.
class RawSocket {
 public:
  explicit RawSocket(const std::string& address) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(PortOf(address)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  ~RawSocket() { ::close(fd_); }

  void Write(const std::string& bytes) {
    size_t done = 0;
    while (done < bytes.size()) {
      const auto count = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (count <= 0) return;  // closed by the other side: some tests want that
      done += static_cast<size_t>(count);
    }
  }

  // Adds to `written` what the other side takes; false once it takes nothing for a while.
  bool WriteWhileTaken(const std::string& bytes, size_t* written) {
    size_t done = 0;
    while (done < bytes.size()) {
      pollfd room{fd_, POLLOUT, 0};
      if (::poll(&room, 1, /*timeout_ms=*/300) <= 0) return false;
      const auto count =
          ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count <= 0) return false;
      done += static_cast<size_t>(count);
      *written += static_cast<size_t>(count);
    }
    return true;
  }

  // Everything until the other side closes.
  std::string ReadAll() {
    std::string all;
    char buffer[4096];
    for (;;) {
      const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
      if (count <= 0) return all;
      all.append(buffer, static_cast<size_t>(count));
    }
  }

 private:
  const int fd_;
};

inline std::string Frame(const std::string& content) {
  const auto size = static_cast<uint32_t>(content.size());
  std::string frame{static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                    static_cast<char>(size >> 8), static_cast<char>(size)};
  return frame + content;
}

}  // namespace baton
