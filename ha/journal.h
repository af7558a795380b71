// Where an EmbeddedCoordinationServer keeps its persistent nodes beyond its process: the seam that
// store/ implements on RocksDB. Ephemeral nodes are never in it: their sessions die with the
// process.
//
// What is kept is the tree as it is, not the history of its changes: reading it back takes as long
// as there are nodes, however many changes there were (L5).
//
// Threading: any thread may call; callbacks may come on any thread: bind them.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ha/coordination_client.h"
#include "ha/znode_tree.h"

namespace baton {

// Nodes as they are after a change; none: deleted. Where a path is named twice the later one holds.
struct JournalRecord {
  std::vector<std::pair<std::string, std::optional<NodeData>>> nodes;
  int64_t last_zxid = 0;
};

class Journal {
 public:
  using AppendCallback = absl::AnyInvocable<void(absl::Status)>;
  using LoadCallback = absl::AnyInvocable<void(absl::StatusOr<TreeImage>)>;

  virtual ~Journal() = default;

  // All of the record or nothing; OK means synced to disk. The caller waits for the answer before
  // it appends again. After an error the record is not there, but may come back when the process
  // ends before another Append succeeds (written, not synced): who goes on puts back what it
  // changed first.
  virtual void Append(JournalRecord record, AppendCallback callback) = 0;

  // Before the first Append. A node whose data cannot be read comes back with empty data, which its
  // reader finds unreadable: one bad record must not take the others with it (P7).
  virtual void Load(LoadCallback callback) = 0;
};
using JournalPtr = std::shared_ptr<Journal>;

}  // namespace baton
