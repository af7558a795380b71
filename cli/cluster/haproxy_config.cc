#include "cli/cluster/haproxy_config.h"

#include "base/status.h"

namespace baton {
namespace {

constexpr std::string_view kShipped =
#include "cli/cluster/shipped_haproxy_cfg.inc"
    ;

// Puts `lines` between "# BEGIN name" and "# END name", which stay.
absl::Status ReplaceBlock(std::string* config, std::string_view name, const std::string& lines) {
  const std::string begin = fmt::format("# BEGIN {}\n", name);
  const std::string end = fmt::format("    # END {}\n", name);
  const size_t from = config->find(begin);
  const size_t to = config->find(end);
  if (from == std::string::npos || to == std::string::npos || to < from) {
    return InvalidArgument("the HAProxy configuration has no lines \"# BEGIN {}\" … \"# END {}\"",
                           name, name);
  }
  const size_t start = from + begin.size();
  config->replace(start, to - start, lines);
  return absl::OkStatus();
}

}  // namespace

std::string_view ShippedHaproxyConfig() { return kShipped; }

absl::StatusOr<std::string> RenderHaproxyConfig(std::string_view shipped, const std::string& bind,
                                                const std::vector<HaproxyServer>& servers) {
  std::string config(shipped);
  if (auto status = ReplaceBlock(&config, "bind", fmt::format("    bind {}\n", bind));
      !status.ok()) {
    return status;
  }
  std::string lines;
  for (const HaproxyServer& server : servers) {
    lines += fmt::format("    server {} {}\n", server.name, server.address);
  }
  if (auto status = ReplaceBlock(&config, "replicas", lines); !status.ok()) return status;
  return config;
}

}  // namespace baton
