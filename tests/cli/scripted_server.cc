#include "tests/cli/scripted_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace baton {

ScriptedServer::ScriptedServer(std::vector<std::string> script) : script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, raw, size) != 0 || listen(listener_, 16) != 0 ||
      getsockname(listener_, raw, &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

ScriptedServer::~ScriptedServer() {
  shutdown(listener_, SHUT_RDWR);  // accept returns
  thread_.join();
  close(listener_);
}

std::vector<std::string> ScriptedServer::Requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::string ScriptedServer::Answer(int status, const std::string& body,
                                   const std::string& more_headers) {
  return "HTTP/1.1 " + std::to_string(status) + " Scripted\r\nConnection: close\r\n" +
         more_headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

void ScriptedServer::Run() {
  for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; close(fd)) {
    const std::string request = ReadRequest(fd);
    if (request.empty()) continue;
    size_t index;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request.substr(0, request.find(" HTTP/")));
      index = std::min(requests_.size(), script_.size()) - 1;
    }
    (void)!send(fd, script_[index].data(), script_[index].size(), MSG_NOSIGNAL);
  }
}

// The head; and the body, so that closing resets nothing that is still unread.
std::string ScriptedServer::ReadRequest(int fd) {
  std::string text;
  char buffer[4096];
  size_t wanted = 1;
  while (text.size() < wanted) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0) return "";
    text.append(buffer, static_cast<size_t>(got));
    const size_t head = text.find("\r\n\r\n");
    wanted = text.size() + 1;
    if (head == std::string::npos) continue;
    const size_t length = text.find("Content-Length: ");
    wanted = head + 4 + (length < head ? std::strtoul(&text[length + 16], nullptr, 10) : 0);
  }
  return text;
}

}  // namespace baton
