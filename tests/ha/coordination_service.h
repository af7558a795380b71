// A coordination service with faults, as the contract suite wants it: ZooKeeper or the embedded
// one.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ha/coordination_client.h"

namespace baton::testing {

class CoordinationService {
 public:
  virtual ~CoordinationService() = default;

  // A new client, not started, of a process of its own.
  virtual CoordinationClientPtr NewClient() = 0;
  // Runs what is to run until `condition` holds, at most 30 s; whether it held.
  virtual bool RunUntil(const std::function<bool()>& condition) = 0;

  // The client's connection breaks, and it cannot connect until Heal.
  virtual void CutOff(const CoordinationClientPtr& client) = 0;
  virtual void Heal(const CoordinationClientPtr& client) = 0;
  // From now to the next CutOff: what the client sends takes effect, the answer to its next change
  // does not come.
  virtual void LoseAnswers(const CoordinationClientPtr& client) = 0;

  virtual void GoDown() = 0;
  virtual void ComeBack() = 0;
};

using ServiceMaker = std::function<std::unique_ptr<CoordinationService>()>;

// One interleaving of clients and server a seed.
std::unique_ptr<CoordinationService> NewEmbeddedService(uint64_t seed);
// The same, each change synced to a (simulated) disk before it is told.
std::unique_ptr<CoordinationService> NewJournaledService(uint64_t seed);
// On one server process for all tests of this program.
std::unique_ptr<CoordinationService> NewZooKeeperService();

}  // namespace baton::testing
