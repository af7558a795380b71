#include "tests/simulation/copy_ledger.h"

#include <algorithm>

namespace baton {

void CopyLedger::OnWritten(const std::string& disk, const std::string& digest) {
  graphs_[digest][disk] = {.written = clock_->Now()};
}

void CopyLedger::OnDeleted(const std::string& disk, const std::string& digest) {
  graphs_[digest].erase(disk);
}

void CopyLedger::OnLost(const std::string& disk, const std::string& digest) {
  const auto copy = graphs_[digest].find(disk);
  if (copy != graphs_[digest].end()) copy->second.lost = true;
}

size_t CopyLedger::Copies(const std::string& digest) const {
  const auto graph = graphs_.find(digest);
  if (graph == graphs_.end()) return 0;
  return static_cast<size_t>(
      std::ranges::count_if(graph->second, [](const auto& entry) { return !entry.second.lost; }));
}

size_t CopyLedger::CopiesOrLost(const std::string& digest, TimePoint since) const {
  const auto graph = graphs_.find(digest);
  if (graph == graphs_.end()) return 0;
  return static_cast<size_t>(std::ranges::count_if(graph->second, [&](const auto& entry) {
    return !entry.second.lost || entry.second.written >= since;
  }));
}

bool CopyLedger::IsAnyShort(size_t enough) const {
  return std::ranges::any_of(graphs_, [&](const auto& graph) {
    const size_t copies = Copies(graph.first);
    return copies > 0 && copies < enough && copies < graph.second.size();
  });
}

}  // namespace baton
