#include "cli/drill/fault.h"

namespace baton {

const std::vector<FaultKind>& AllFaults() {
  static const std::vector<FaultKind> kinds = {
      {Fault::kKill, "kill", FaultEffect::kNewEpoch, false},
      {Fault::kHang, "hang", FaultEffect::kNewEpoch, true},
      {Fault::kTransfer, "transfer", FaultEffect::kNewEpoch, false},
      {Fault::kZooKeeper, "zookeeper", FaultEffect::kOutage, true},
      {Fault::kWorker, "worker", FaultEffect::kTasksAgain, true},
      {Fault::kHost, "host", FaultEffect::kNewEpoch, true},
  };
  return kinds;
}

const FaultKind& KindOf(Fault fault) {
  for (const FaultKind& kind : AllFaults()) {
    if (kind.fault == fault) return kind;
  }
  return AllFaults().front();
}

std::optional<Fault> FaultNamed(const std::string& name) {
  for (const FaultKind& kind : AllFaults()) {
    if (name == kind.name) return kind.fault;
  }
  return std::nullopt;
}

std::string FaultNames() {
  std::string names;
  for (const FaultKind& kind : AllFaults())
    names += (names.empty() ? "" : ", ") + std::string(kind.name);
  return names;
}

}  // namespace baton
