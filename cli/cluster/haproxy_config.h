// The shipped deploy/haproxy/haproxy.cfg with other addresses: everything but the lines between
// its marks stays as it is.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace baton {

struct HaproxyServer {
  std::string name;
  std::string address;  // "host:port"
};

std::string_view ShippedHaproxyConfig();

// kInvalidArgument: `shipped` lacks one of the marks.
absl::StatusOr<std::string> RenderHaproxyConfig(std::string_view shipped, const std::string& bind,
                                                const std::vector<HaproxyServer>& servers);

}  // namespace baton
