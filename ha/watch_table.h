// Who waits for which node of an EmbeddedCoordinationServer: one-shot watches, as ZooKeeper's.
//
// Threading: none; the server owns it and calls it on its executor.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ha/znode_tree.h"

namespace baton {

struct WatchId {
  int64_t session = 0;
  uint64_t id = 0;  // unique within the session; 0: no watch
};

class WatchTable {
 public:
  // Fires when the node comes, goes or gets other data.
  void WatchNode(const std::string& path, WatchId watch);
  // Fires when the node goes, or when a child of it comes or goes.
  void WatchChildren(const std::string& path, WatchId watch);

  // Takes the watches that `change` fires, in the order in which they were set.
  std::vector<WatchId> Take(const ZnodeChange& change);

  void DropSession(int64_t session);

 private:
  using Watches = std::map<std::string, std::vector<WatchId>>;

  Watches node_;
  Watches children_;
};

}  // namespace baton
