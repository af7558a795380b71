// `baton drill --chaos`: the part of the drill's command line that runs a cluster of its own.

#pragma once

#include <memory>
#include <string>

#include "cli/command.h"

namespace CLI {
class App;
}

namespace baton {

struct ChaosArguments {
  bool wanted = false;
  double minutes = 3;
  uint64_t seed = 1;
  std::string only;  // "leader-kill,worker-stop"; empty: every kind
  double jobs_per_second = 6;
  std::string report;  // a file; empty: stdout
};

void AddChaosArguments(CLI::App* drill, const std::shared_ptr<ChaosArguments>& arguments);

// `directory`: of the cluster; empty: one of its own, which stays only where something was wrong.
void RunChaos(CommandContext& context, const ChaosArguments& arguments,
              const std::string& directory);

}  // namespace baton
