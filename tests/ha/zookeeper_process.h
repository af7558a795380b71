// A real ZooKeeper server, standalone, on a free port of loopback, with its data in a directory of
// its own. For unit and integration tests; dies with the test.
//
// A tick is short (200 ms), so that session timeouts of 0.4 to 4 s can be had.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace baton::testing {

class ZooKeeperProcess {
 public:
  ZooKeeperProcess() = default;
  ~ZooKeeperProcess();  // kills it and removes its directory
  ZooKeeperProcess(const ZooKeeperProcess&) = delete;
  ZooKeeperProcess& operator=(const ZooKeeperProcess&) = delete;

  // Returns when it serves. kFailedPrecondition: no java or no server jars on this machine.
  absl::Status Start();

  void Kill();             // kill -9; waits for its end
  absl::Status Restart();  // on the same port and data, after Kill
  void Pause();            // SIGSTOP
  void Resume();           // SIGCONT

  uint16_t port() const { return port_; }
  std::string address() const;  // "127.0.0.1:port"

 private:
  absl::Status Prepare();
  absl::Status Launch();
  absl::Status WaitUntilItServes();

  std::string directory_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace baton::testing
