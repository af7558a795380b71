// The rules of a valid JobGraph: one set for what users submit and for what is read back.

#pragma once

#include <string>

#include "job/job_graph.h"
#include "job/problems.h"

namespace baton {

inline constexpr int32_t kMaxPriority = 1000;  // and -1000 the least

// Every problem of `graph` with its place: names, ids, commands, environments, numbers, limits,
// edges from a vertex to itself, duplicates, and a cycle, if there is one. Edges with an end that
// is no vertex are passed over: whoever read them reports that.
void CheckGraph(const JobGraph& graph, const JobLimits& limits, ProblemList* problems);

// The vertices of one cycle in the order of its edges, the first one repeated at the end; empty if
// there is none. Edges from a vertex to itself do not count.
std::vector<uint32_t> FindCycle(const JobGraph& graph);

}  // namespace baton
