// Ports of this host that stay ours across restarts.

#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace baton {

// Free loopback ports, held (bound) until Release, so that two clusters that start at once do not
// choose the same ones. They lie below the range that the kernel gives to outgoing connections:
// none of those can sit on the port of a server that is down for a moment.
class PortReservation {
 public:
  static absl::StatusOr<PortReservation> Take(int count);
  PortReservation(PortReservation&& other) noexcept;
  PortReservation& operator=(PortReservation&&) = delete;
  ~PortReservation() { Release(); }

  const std::vector<uint16_t>& ports() const { return ports_; }
  void Release();

 private:
  PortReservation() = default;

  std::vector<uint16_t> ports_;
  std::vector<int> sockets_;
};

}  // namespace baton
