// An HTTP server for one test: answers each request as its script says, or breaks off.
//
// Owns a thread; destruction ends it. A connection serves one request.

#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace baton {

class ScriptedServer {
 public:
  // Each entry is the answer to one request; empty: the connection is closed without an answer. The
  // last entry stands for all further requests.
  explicit ScriptedServer(std::vector<std::string> script);
  ~ScriptedServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // "PUT /v1/jobs/…" of each request so far.
  std::vector<std::string> Requests() const;

  static std::string Answer(int status, const std::string& body,
                            const std::string& more_headers = "");

 private:
  void Run();
  std::string ReadRequest(int fd);

  const std::vector<std::string> script_;
  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace baton
