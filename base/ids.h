// Names of things, as types: an id of one kind is never taken for another.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace baton {

// A leader's term. 0 is before the first leader. It never goes back (P3).
struct Epoch {
  uint64_t value = 0;
  auto operator<=>(const Epoch&) const = default;
  Epoch Next() const { return Epoch{value + 1}; }
};

// 16 bytes, written as 32 lower-case hex digits, as Flink's JobID.
class JobId {
 public:
  JobId() = default;  // all zero: no job

  // kInvalidArgument unless exactly 32 hex digits (either case).
  static absl::StatusOr<JobId> Parse(std::string_view hex);
  // The first 16 bytes of SHA-256 over `key`: the id that belongs to an Idempotency-Key.
  static JobId FromKey(std::string_view key);
  static JobId FromBytes(const std::array<uint8_t, 16>& bytes) { return JobId(bytes); }

  std::string ToString() const;
  // The first hex digit: the bucket of the job's znode (docs/decisions/0029).
  std::string Bucket() const { return ToString().substr(0, 1); }
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }

  auto operator<=>(const JobId&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const JobId& id) {
    return H::combine(std::move(h), id.bytes_);
  }

 private:
  explicit JobId(const std::array<uint8_t, 16>& bytes) : bytes_(bytes) {}
  std::array<uint8_t, 16> bytes_{};
};

template <class Tag>
class NamedId {
 public:
  NamedId() = default;
  explicit NamedId(std::string value) : value_(std::move(value)) {}

  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }

  auto operator<=>(const NamedId&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const NamedId& id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  std::string value_;
};

// A dispatcher replica, as its configuration names it; kept across restarts.
using ReplicaId = NamedId<struct ReplicaIdTag>;
// A TaskManager, as its configuration names it; kept across restarts.
using TaskManagerId = NamedId<struct TaskManagerIdTag>;
// One life of one process: a new random value at every start (16 hex digits).
using Incarnation = NamedId<struct IncarnationTag>;

// One attempt to run one subtask. The epoch of the leader that deployed it makes it unique across
// failovers even when two leaders count the same attempt number.
struct ExecutionAttemptId {
  JobId job;
  uint32_t vertex = 0;  // index of the vertex in its JobGraph
  uint32_t subtask = 0;
  uint32_t attempt = 0;  // 0 for the first
  Epoch epoch;

  auto operator<=>(const ExecutionAttemptId&) const = default;
  // "<job>/<vertex>/<subtask>/<attempt>-e<epoch>"
  std::string ToString() const;

  template <typename H>
  friend H AbslHashValue(H h, const ExecutionAttemptId& id) {
    return H::combine(std::move(h), id.job, id.vertex, id.subtask, id.attempt, id.epoch.value);
  }
};

}  // namespace baton
