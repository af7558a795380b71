#include "ha/watch_table.h"

#include "ha/znode_path.h"

namespace baton {
namespace {

void TakeAt(std::map<std::string, std::vector<WatchId>>& watches, const std::string& path,
            std::vector<WatchId>& taken) {
  auto it = watches.find(path);
  if (it == watches.end()) return;
  taken.insert(taken.end(), it->second.begin(), it->second.end());
  watches.erase(it);
}

}  // namespace

void WatchTable::WatchNode(const std::string& path, WatchId watch) {
  if (watch.id != 0) node_[path].push_back(watch);
}

void WatchTable::WatchChildren(const std::string& path, WatchId watch) {
  if (watch.id != 0) children_[path].push_back(watch);
}

std::vector<WatchId> WatchTable::Take(const ZnodeChange& change) {
  std::vector<WatchId> taken;
  TakeAt(node_, change.path, taken);
  if (!change.after) TakeAt(children_, change.path, taken);
  const bool came_or_went = !change.before || !change.after;
  if (came_or_went && change.path != "/") TakeAt(children_, ParentOf(change.path), taken);
  return taken;
}

void WatchTable::DropSession(int64_t session) {
  for (Watches* watches : {&node_, &children_}) {
    for (auto& [path, ids] : *watches) {
      std::erase_if(ids, [session](const WatchId& watch) { return watch.session == session; });
    }
    std::erase_if(*watches, [](const auto& entry) { return entry.second.empty(); });
  }
}

}  // namespace baton
