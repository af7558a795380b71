// "host:port" taken apart.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace baton {

struct HostAndPort {
  std::string host;  // a name or an address, without the brackets of "[::1]:80"
  std::string port;  // digits, 0..65535
};

// kInvalidArgument names the text.
absl::StatusOr<HostAndPort> ParseHostAndPort(std::string_view address);

std::string FormatHostAndPort(std::string_view host, uint16_t port);

}  // namespace baton
