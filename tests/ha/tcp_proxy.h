// A network to be broken: forwards TCP connections from a port of its own to one on loopback.
//
// Threading: one thread of its own; the methods may be called from any thread.

#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace baton::testing {

class TcpProxy {
 public:
  explicit TcpProxy(uint16_t target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  uint16_t port() const { return port_; }

  void Forward();         // as at the start
  void Cut();             // every connection breaks, new ones are closed at once
  void SwallowAnswers();  // what the target sends is lost; what is sent to it arrives

 private:
  enum class Mode { kForward, kCut, kSwallowAnswers, kEnd };
  struct Connection {
    int client;
    int target;
  };

  void SetMode(Mode mode);
  void Loop();
  void Accept();
  // False: the connection is over.
  bool Relay(const Connection& connection, bool client_readable, bool target_readable) const;
  void CloseAll();

  const uint16_t target_port_;
  uint16_t port_ = 0;
  int listener_ = -1;
  int wake_ = -1;  // an eventfd
  std::atomic<Mode> mode_{Mode::kForward};
  std::vector<Connection> connections_;  // the thread's own
  std::thread thread_;
};

}  // namespace baton::testing
