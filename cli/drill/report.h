// What a drill found, and its JSON.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace baton {

struct DrillRound {
  std::string killed;       // the leader's replica id
  std::string exit_status;  // "SIGKILL"
  uint64_t epoch_before = 0;
  uint64_t epoch_after = 0;
  double new_epoch_ms = -1;  // from the kill until a survivor told the new epoch; -1: never
  double ack_gap_ms = 0;     // the longest time without an acknowledged submission
  uint64_t client_errors = 0;
  uint64_t tasks_restarted = 0;
};

struct DrillReport {
  int64_t session_timeout_ms = -1;  // -1: not told
  std::vector<DrillRound> rounds;
  uint64_t submitted = 0;
  uint64_t acknowledged = 0;
  std::map<std::string, uint64_t> requests_per_replica;
  uint64_t lost = 0;        // acknowledged, never started
  uint64_t duplicated = 0;  // started more than once
  uint64_t restarted = 0;   // long tasks that started more than once, or ran no more at the end
  bool complete = false;    // every round was run to its end

  bool Passed() const { return complete && lost == 0 && duplicated == 0 && restarted == 0; }
};

std::string ToJson(const DrillReport& report);

}  // namespace baton
