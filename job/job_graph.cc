#include "job/job_graph.h"

namespace baton {

uint64_t JobGraph::TotalSubtasks() const {
  uint64_t total = 0;
  for (const JobVertex& vertex : vertices) total += vertex.parallelism;
  return total;
}

std::optional<uint32_t> JobGraph::FindVertex(std::string_view id) const {
  for (uint32_t i = 0; i < vertices.size(); ++i) {
    if (vertices[i].id == id) return i;
  }
  return std::nullopt;
}

}  // namespace baton
