#include "job/states.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace baton {
namespace {

using Moves = std::map<std::string, std::set<std::string>>;

// Written by name and by hand, apart from the tables: every cell is compared, so a move that is
// added or lost by accident fails here.
const Moves kJobMoves = {
    {"INITIALIZING", {"CREATED", "RECONCILING", "CANCELLING", "FAILING", "FAILED", "SUSPENDED"}},
    {"CREATED", {"RUNNING", "RECONCILING", "CANCELLING", "FAILING", "FAILED", "SUSPENDED"}},
    {"RUNNING", {"FINISHED", "FAILING", "CANCELLING", "RESTARTING", "SUSPENDED"}},
    {"FAILING", {"FAILED", "CANCELLING", "RESTARTING", "SUSPENDED"}},
    {"FAILED", {}},
    {"CANCELLING", {"CANCELED", "FAILED", "SUSPENDED"}},
    {"CANCELED", {}},
    {"FINISHED", {}},
    {"RESTARTING", {"CREATED", "RUNNING", "FAILING", "CANCELLING", "SUSPENDED"}},
    {"SUSPENDED", {}},
    {"RECONCILING",
     {"RUNNING", "CANCELLING", "FAILING", "FAILED", "CANCELED", "FINISHED", "RESTARTING",
      "SUSPENDED"}},
};

const Moves kExecutionMoves = {
    {"CREATED", {"SCHEDULED", "RECONCILING", "CANCELED", "FAILED"}},
    {"SCHEDULED", {"DEPLOYING", "CANCELED", "FAILED"}},
    {"DEPLOYING", {"INITIALIZING", "RUNNING", "FINISHED", "CANCELING", "CANCELED", "FAILED"}},
    {"INITIALIZING", {"RUNNING", "FINISHED", "CANCELING", "CANCELED", "FAILED"}},
    {"RUNNING", {"FINISHED", "CANCELING", "CANCELED", "FAILED"}},
    {"FINISHED", {}},
    {"CANCELING", {"CANCELED", "FAILED"}},
    {"CANCELED", {}},
    {"FAILED", {}},
    {"RECONCILING",
     {"CREATED", "DEPLOYING", "INITIALIZING", "RUNNING", "FINISHED", "CANCELING", "CANCELED",
      "FAILED"}},
};

template <class States>
void ExpectEveryCell(const States& all, const Moves& expected) {
  ASSERT_EQ(expected.size(), all.size());
  for (auto from : all) {
    const auto& legal = expected.at(std::string(ToString(from)));
    for (auto to : all) {
      EXPECT_EQ(MayMove(from, to), legal.contains(std::string(ToString(to))))
          << ToString(from) << " -> " << ToString(to);
    }
  }
}

TEST(StatesTest, EveryCellOfTheJobTable) { ExpectEveryCell(AllJobStatuses(), kJobMoves); }

TEST(StatesTest, EveryCellOfTheExecutionTable) {
  ExpectEveryCell(AllExecutionStates(), kExecutionMoves);
}

TEST(StatesTest, ATerminalStateIsNeverLeft) {
  for (auto from : AllJobStatuses()) {
    for (auto to : AllJobStatuses()) {
      EXPECT_FALSE(IsGloballyTerminal(from) && MayMove(from, to));
    }
  }
  for (auto from : AllExecutionStates()) {
    for (auto to : AllExecutionStates()) {
      EXPECT_FALSE(IsTerminal(from) && MayMove(from, to));
    }
  }
}

TEST(StatesTest, EveryStateThatIsNotTerminalCanEnd) {
  for (auto from : AllJobStatuses()) {
    if (IsGloballyTerminal(from) || from == JobStatus::kSuspended) continue;
    EXPECT_TRUE(MayMove(from, JobStatus::kSuspended)) << ToString(from);
    if (from == JobStatus::kCancelling) continue;
    EXPECT_TRUE(MayMove(from, JobStatus::kCancelling)) << ToString(from);
  }
}

TEST(StatesTest, ACancelledJobNeverFinishesOrRestarts) {
  EXPECT_FALSE(MayMove(JobStatus::kCancelling, JobStatus::kFinished));
  EXPECT_FALSE(MayMove(JobStatus::kCancelling, JobStatus::kRestarting));
  EXPECT_FALSE(MayMove(JobStatus::kCancelling, JobStatus::kRunning));
}

ExecutionState AggregateOf(const std::vector<ExecutionState>& states) {
  ExecutionStateCounts counts{};
  for (const ExecutionState state : states) ++counts[static_cast<size_t>(state)];
  return AggregateState(counts, static_cast<uint32_t>(states.size()));
}

// Written apart from the code: the state before another in this list speaks for both.
TEST(StatesTest, TheStateThatTellsMostSpeaksForAll) {
  using E = ExecutionState;
  const std::vector<E> order = {E::kFailed,      E::kCanceling, E::kCanceled,  E::kInitializing,
                                E::kRunning,     E::kFinished,  E::kDeploying, E::kScheduled,
                                E::kReconciling, E::kCreated};
  ASSERT_EQ(order.size(), kExecutionStateCount);
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(AggregateOf({order[i]}), order[i]) << ToString(order[i]);
    EXPECT_EQ(AggregateOf({order[i], order[i]}), order[i]) << ToString(order[i]);
    for (size_t j = i + 1; j < order.size(); ++j) {
      // Something has run and something is still to come: it runs.
      const E expected = order[i] == E::kFinished ? E::kRunning : order[i];
      EXPECT_EQ(AggregateOf({order[i], order[j]}), expected)
          << ToString(order[i]) << ", " << ToString(order[j]);
    }
  }
  EXPECT_EQ(AggregateOf({}), E::kCreated);
}

TEST(StatesTest, NamesAreFlinksAndReadBack) {
  EXPECT_EQ(ToString(JobStatus::kCancelling), "CANCELLING");
  EXPECT_EQ(ToString(JobStatus::kCanceled), "CANCELED");
  EXPECT_EQ(ToString(ExecutionState::kCanceling), "CANCELING");
  for (auto status : AllJobStatuses()) EXPECT_EQ(ParseJobStatus(ToString(status)), status);
  for (auto state : AllExecutionStates()) EXPECT_EQ(ParseExecutionState(ToString(state)), state);
  EXPECT_FALSE(ParseJobStatus("running"));
  EXPECT_FALSE(ParseExecutionState("CANCELLING"));
}

}  // namespace
}  // namespace baton
