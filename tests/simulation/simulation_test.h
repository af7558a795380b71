// What the tests of simulated clusters share: a scenario is run once for each of many seeds.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/deliberate_break.h"
#include "tests/simulation/simulated_client.h"
#include "tests/simulation/simulated_cluster.h"

namespace baton {

struct Scenario {
  Scenario(uint64_t seed, SimulatedCluster::Shape shape)
      : cluster(seed, shape, [](const std::string& invariant, const std::string& what) {
          ADD_FAILURE() << invariant << ": " << what;
        }) {
    if (std::getenv("BATON_SIMULATION_LOG")) {
      cluster.Trace([this](const std::string& line) {
        std::fprintf(stderr, "%10.4f %s\n", cluster.Seconds(), line.c_str());
      });
    }
  }

  SimulatedJob SubmitSingle(Duration runs_for, uint32_t parallelism = 1) {
    SimulatedJob job = SimulatedJob::Single(cluster.random(), runs_for, parallelism);
    client->Submit(job, cluster.DrawIndex(cluster.replicas()));
    return job;
  }
  // Submits and runs until `count` processes of the cluster are alive.
  SimulatedJob SubmitRunning(Duration runs_for, uint32_t parallelism) {
    const size_t before = recorder().running();
    SimulatedJob job = SubmitSingle(runs_for, parallelism);
    EXPECT_TRUE(cluster.RunUntil([&] { return recorder().running() == before + parallelism; }));
    return job;
  }
  Recorder& recorder() { return cluster.recorder(); }

  // I10: whatever was lost, given away and taken back, every slot is free once nothing runs.
  void ExpectAllSlotsFree(size_t slots) {
    const std::string total = "\"slots-total\":" + std::to_string(slots);
    const std::string available = "\"slots-available\":" + std::to_string(slots);
    std::string body;
    for (int i = 0; i < 60; ++i) {
      const auto answer = client->Ask(cluster.AwaitLeader(), "GET", "/v1/overview");
      body = answer ? answer->body : "";
      if (body.find(total) != std::string::npos && body.find(available) != std::string::npos)
        return;
      cluster.Advance(std::chrono::milliseconds(500));
    }
    ADD_FAILURE() << "slots are missing: " << body;
  }

  SimulatedCluster cluster;
  std::shared_ptr<SimulatedClient> client = std::make_shared<SimulatedClient>(&cluster);
};

// Runs `scenario(Scenario&, seed)` with a fresh cluster for each seed, until one fails.
// BATON_SIMULATION_SEED=n runs that one alone, BATON_SIMULATION_SEEDS=n the first n,
// BATON_SIMULATION_MOST_SEEDS=n no more than n (where each costs ten times as much).
// BATON_SIMULATION_BREAK=name leaves out that rule (base/deliberate_break.h).
template <class F>
void ForEachSeed(uint64_t seeds, F scenario,
                 SimulatedCluster::Shape shape = SimulatedCluster::Shape()) {
  // A bug shows as an error line, which the cluster judges.
  const bool verbose = std::getenv("BATON_SIMULATION_LOG") != nullptr;
  const log::Level least = verbose ? log::Level::kInfo : log::Level::kError;
  ASSERT_TRUE(log::Init("simulation", "/dev/null", least).ok());
  const char* only = std::getenv("BATON_SIMULATION_SEED");
  const char* many = std::getenv("BATON_SIMULATION_SEEDS");
  const char* most = std::getenv("BATON_SIMULATION_MOST_SEEDS");
  const char* broken = std::getenv("BATON_SIMULATION_BREAK");
  if (broken) {
    const auto found = FindBreak(broken);
    ASSERT_TRUE(found) << "there is no break " << broken;
    BreakDeliberately(*found);
  }
  if (most) seeds = std::min<uint64_t>(seeds, std::strtoull(most, nullptr, 10));
  const uint64_t first = only ? std::strtoull(only, nullptr, 10) : 1;
  const uint64_t last = only ? first : many ? std::strtoull(many, nullptr, 10) : seeds;
  for (uint64_t seed = first; seed <= last && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("BATON_SIMULATION_SEED=" + std::to_string(seed));
    Scenario one(seed, shape);
    one.cluster.AwaitReady();
    if (testing::Test::HasFailure()) return;
    scenario(one, seed);
  }
}

}  // namespace baton
