// "Hosts" on one machine: a network namespace with one interface and one address for each, all
// plugged into a bridge (the switch) in a namespace of its own. The machine itself, with the
// command line, the tests and whoever else uses the cluster, is plugged in as one more host,
// "machine".
//
// A cut is a rule in the switch that drops packets: nothing is refused, no connection is told, as
// when a cable is pulled or a firewall drops. Both need the rights of root.
//
// Names and addresses come from a number: network n has the namespaces baton-<n>-switch and
// baton-<n>-<host>, the machine's interface baton-<n>, and the n-th /24 of 198.18.0.0/15, which
// RFC 2544 sets aside for tests of networks: no real one is hidden by it.
//
// Nothing of it outlives its use: whoever makes a network first removes those whose owner is dead
// and in which no process lives.
//
// Threading: any thread, also of different programs (a lock file orders making); blocking.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/process.h"

namespace baton {

// The name under which the machine itself is plugged in.
inline constexpr char kMachineHost[] = "machine";

// What `from` sends to `to`.
struct HostPath {
  std::string from;
  std::string to;
};

class HostNetwork {
 public:
  struct Options {
    int number = kAny;
    std::vector<std::string> hosts;  // at most 200; names of at most 15 characters
    // While this process lives the network is in use, even if no other process lives in it.
    ProcessId owner;
  };
  static constexpr int kAny = -1;

  // kFailedPrecondition: `number` is in use, or the right to do this is missing; kNotFound: a
  // program is missing.
  static absl::StatusOr<HostNetwork> Make(const Options& options);
  // One that was made before.
  explicit HostNetwork(int number) : number_(number) {}
  // Harmless where there is nothing. Processes inside must have ended.
  absl::Status Remove() const;

  absl::Status Cut(const std::vector<HostPath>& paths) const;
  absl::Status Heal(const std::vector<HostPath>& paths) const;
  // Of all packets, wherever they go, so many of a hundred are lost at random.
  absl::Status Lose(int percent) const;
  absl::Status HealAll() const;  // losses too

  int number() const { return number_; }
  // Of the i-th of Options::hosts.
  std::string Address(size_t i) const;
  // The file that stands for the host's namespace.
  std::string NamespaceFile(const std::string& host) const;
  bool Exists() const;

 private:
  std::string NamespaceName(const std::string& host) const;
  std::string InterfaceName() const;
  std::string Prefix() const;  // "198.18.7."
  absl::Status Build(const Options& options) const;
  absl::Status Switch(const std::string& nft_commands) const;

  int number_;
};

}  // namespace baton
