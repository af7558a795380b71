// What `baton cluster status` prints.

#pragma once

#include <string>

#include "cli/cluster/local_cluster.h"

namespace baton {

std::string ClusterStatusTable(const LocalCluster& cluster);
std::string ClusterStatusJson(const LocalCluster& cluster);

}  // namespace baton
