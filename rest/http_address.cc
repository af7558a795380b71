#include "rest/http_address.h"

#include <charconv>
#include <cstdint>

#include "base/status.h"

namespace baton {

absl::StatusOr<HostAndPort> ParseHostAndPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return InvalidArgument("'{}' is no address: expected host:port", address);
  }
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > UINT16_MAX) {
    return InvalidArgument("'{}' is no address: the port must be 0..65535", address);
  }
  return HostAndPort{std::string(host), std::string(port)};
}

std::string FormatHostAndPort(std::string_view host, uint16_t port) {
  const bool bracket = host.find(':') != std::string_view::npos;
  return fmt::format("{}{}{}:{}", bracket ? "[" : "", host, bracket ? "]" : "", port);
}

}  // namespace baton
