// A baton-dispatcher without ZooKeeper, started by this process for itself: a whole cluster for one
// job.
//
// Threading: blocking; one thread. It dies with the thread that started it, and its tasks with it,
// however that ends; Stop ends it in good order.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/cluster/process.h"

namespace baton {

class EmbeddedProcess {
 public:
  struct Options {
    std::string directory;                   // its process.working-dir; made if there is none
    std::vector<std::string> overrides;      // key=value
    std::map<std::string, std::string> env;  // added to this process's own
  };

  // Returns when it serves. kUnavailable: it ended instead, with what it said.
  static absl::StatusOr<std::unique_ptr<EmbeddedProcess>> Start(const Options& options);
  ~EmbeddedProcess() { Kill(); }

  // SIGTERM; SIGKILL if it does not end within a minute or the kill grace of its tasks.
  void Stop();
  void Kill();

  const std::string& rest_address() const { return rest_address_; }
  std::string server() const { return "http://" + rest_address_; }
  const ProcessId& id() const { return process_; }
  // Whether it has ended without being told to.
  bool HasDied();
  std::string log_file() const { return directory_ + "/baton.log"; }

 private:
  EmbeddedProcess() = default;

  absl::Status AwaitReady();
  absl::Status WhyItEnded(const std::string& how) const;

  std::string directory_;
  std::string rest_address_;
  ProcessId process_;
};

}  // namespace baton
