// What a drill found, and its JSON.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace baton {

struct DrillRound {
  std::string victim;  // a replica's or a worker's id, or "zookeeper"
  std::string done;    // what was done to it: "SIGKILL", "cut off"
  uint64_t epoch_before = 0;
  uint64_t epoch_after = 0;
  double new_epoch_ms = -1;  // from the fault until a survivor told the new epoch; -1: no new one
  // After an outage of ZooKeeper: from its end to the next acknowledged submission. After the death
  // of a worker: until the last of its tasks ran again. -1: means nothing here.
  double recovery_ms = -1;
  double ack_gap_ms = 0;  // the longest time without an acknowledged submission
  uint64_t client_errors = 0;
  uint64_t tasks_restarted = 0;    // that no fault explains
  uint64_t expected_restarts = 0;  // of tasks that died with their worker
};

struct DrillReport {
  std::string fault;
  int64_t session_timeout_ms = -1;  // -1: not told
  std::vector<DrillRound> rounds;
  uint64_t submitted = 0;
  uint64_t acknowledged = 0;
  std::map<std::string, uint64_t> requests_per_replica;
  uint64_t lost = 0;        // acknowledged, never started
  uint64_t duplicated = 0;  // starts of small jobs beyond the first
  uint64_t restarted = 0;   // starts of long tasks beyond the first; or tasks that ran no more
  // The same, where the task died with its worker before its end was known: counted above are only
  // the others.
  uint64_t expected_duplicates = 0;
  uint64_t expected_restarts = 0;
  bool complete = false;  // every round was run to its end

  bool Passed() const { return complete && lost == 0 && duplicated == 0 && restarted == 0; }
};

std::string ToJson(const DrillReport& report);

}  // namespace baton
