#include "tests/ha/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace baton::testing {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Require(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

bool SendAll(int socket, const char* data, ssize_t size) {
  while (size > 0) {
    const ssize_t sent = send(socket, data, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= sent;
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(uint16_t target_port) : target_port_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  Require(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  Require(listen(listener_, 16) == 0, "listen");
  Require(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "name");
  port_ = ntohs(address.sin_port);
  wake_ = eventfd(0, EFD_CLOEXEC);
  Require(wake_ >= 0, "eventfd");
  thread_ = std::thread([this] { Loop(); });
}

TcpProxy::~TcpProxy() {
  SetMode(Mode::kEnd);
  thread_.join();
  close(listener_);
  close(wake_);
}

void TcpProxy::Forward() { SetMode(Mode::kForward); }
void TcpProxy::Cut() { SetMode(Mode::kCut); }
void TcpProxy::SwallowAnswers() { SetMode(Mode::kSwallowAnswers); }

void TcpProxy::SetMode(Mode mode) {
  mode_ = mode;
  eventfd_write(wake_, 1);
}

void TcpProxy::Loop() {
  while (mode_ != Mode::kEnd) {
    std::vector<pollfd> fds{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const Connection& connection : connections_) {
      fds.push_back({connection.client, POLLIN, 0});
      fds.push_back({connection.target, POLLIN, 0});
    }
    poll(fds.data(), fds.size(), -1);
    eventfd_t count;
    if (fds[0].revents != 0) eventfd_read(wake_, &count);
    if (mode_ == Mode::kCut) CloseAll();
    std::vector<Connection> alive;
    for (size_t i = 0; i < connections_.size(); ++i) {
      const Connection& connection = connections_[i];
      if (Relay(connection, fds[2 + 2 * i].revents != 0, fds[3 + 2 * i].revents != 0)) {
        alive.push_back(connection);
        continue;
      }
      close(connection.client);
      close(connection.target);
    }
    connections_ = std::move(alive);
    if (fds[1].revents != 0) Accept();
  }
  CloseAll();
}

void TcpProxy::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(target_port_);
  const bool is_open = mode_ != Mode::kCut &&
                       connect(target, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  if (is_open) {
    connections_.push_back({client, target});
    return;
  }
  close(client);
  close(target);
}

bool TcpProxy::Relay(const Connection& connection, bool client_readable,
                     bool target_readable) const {
  char buffer[65536];
  if (client_readable) {
    const ssize_t size = recv(connection.client, buffer, sizeof(buffer), 0);
    if (size <= 0 || !SendAll(connection.target, buffer, size)) return false;
  }
  if (target_readable) {
    const ssize_t size = recv(connection.target, buffer, sizeof(buffer), 0);
    if (size <= 0) return false;
    if (mode_ != Mode::kSwallowAnswers && !SendAll(connection.client, buffer, size)) return false;
  }
  return true;
}

void TcpProxy::CloseAll() {
  for (const Connection& connection : connections_) {
    close(connection.client);
    close(connection.target);
  }
  connections_.clear();
}

}  // namespace baton::testing
