// The tree in ZooKeeper (docs/protocols.md, 3.1): where each record stands.

#pragma once

#include <string>

#include "base/ids.h"

namespace baton {

class CoordinationPaths {
 public:
  // root + "/" + cluster id, e.g. "/baton/default".
  CoordinationPaths(const std::string& root, const std::string& cluster_id)
      : base_(root + "/" + cluster_id) {}

  const std::string& base() const { return base_; }
  std::string epoch() const { return base_ + "/epoch"; }
  std::string leader() const { return base_ + "/leader"; }
  std::string members() const { return base_ + "/members"; }
  std::string replicas() const { return base_ + "/replicas"; }
  std::string replica(const ReplicaId& id) const { return replicas() + "/" + id.value(); }
  std::string jobs() const { return base_ + "/jobs"; }
  std::string job(const JobId& id) const {
    return jobs() + "/" + id.Bucket() + "/" + id.ToString();
  }
  std::string results() const { return base_ + "/results"; }
  std::string result(const JobId& id) const {
    return results() + "/" + id.Bucket() + "/" + id.ToString();
  }
  std::string roster() const { return base_ + "/roster"; }
  std::string roster(const TaskManagerId& id) const { return roster() + "/" + id.value(); }

 private:
  std::string base_;
};

}  // namespace baton
