// The checker is checked: a history in which nothing is wrong is not blamed, and one violation of
// each kind is found.

#include <functional>

#include "cli/chaos/checker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// A run of chaos of one round, from second 10 to 20, judged at 25, with jobs of each kind; times in
// seconds.
class Checker : public testing::Test {
 protected:
  Checker() {
    AddJob("short", {JobKind::kShort, {{"task", 1, {}}}}, "FINISHED");
    AddRun("short", "task", 0, 2, 3, TaskEnd::kFinished);
    AddJob("graph", {JobKind::kGraph, {{"split", 2, {}}, {"join", 1, {"split"}}}}, "FINISHED");
    AddRun("graph", "split", 0, 2, 3, TaskEnd::kFinished);
    AddRun("graph", "split", 1, 2, 4, TaskEnd::kFinished);
    AddRun("graph", "join", 0, 5, 6, TaskEnd::kFinished);
    AddJob("failing", {JobKind::kFailing, {{"task", 1, {}}}}, "FAILED");
    AddRun("failing", "task", 0, 2, 2, TaskEnd::kUnknown);
    AddJob("cancelled", {JobKind::kCancelled, {{"task", 1, {}}}}, "CANCELED");
    AddRun("cancelled", "task", 0, 2, 30, TaskEnd::kTerminated);
    Request(RequestKind::kCancel, "cancelled", 28, 29);
    // Its worker was killed in the round.
    AddJob("long", {JobKind::kLong, {{"task", 1, {}}}}, "CANCELED");
    AddRun("long", "task", 0, 2, 11, TaskEnd::kUnknown).worker = "w2";
    AddRun("long", "task", 0, 12, 90, TaskEnd::kTerminated).epoch = 6;
    Request(RequestKind::kCancel, "long", 88, 89);
    history.harms.push_back({"w2", 10 * kSecond, 20 * kSecond});
    ChaosRound round;
    round.number = 1;
    round.kinds = {"worker-and-leader-kill"};
    round.from_ns = 10 * kSecond;
    round.healed_ns = 20 * kSecond;
    round.until_ns = 25 * kSecond;
    round.agreed_ms = 100;
    round.progress_ms = 200;
    round.new_job_ms = 300;
    round.progress_limit_ms = 5000;
    round.epochs = 1;
    history.rounds.push_back(round);
    history.sightings = {{"r1", 1 * kSecond, 5, "r1"},
                         {"r2", 1 * kSecond, 5, "r1"},
                         {"r2", 11 * kSecond, 6, "r2"},
                         {"r1", 12 * kSecond, 6, "r2"}};
    Sighting("short", "r1", 4, "FINISHED");
    Sighting("short", "r2", 12, "FINISHED");
    history.slots_expected = history.slots_total = history.slots_free = 8;
    history.missing_blobs = {{"r1", 0}, {"r2", 0}};
  }

  void AddJob(const std::string& id, PlannedJob job, const std::string& state) {
    history.jobs[id] = std::move(job);
    history.states[id] = state;
    Request(RequestKind::kSubmit, id, 1, 2);
  }

  ClientRequest& Request(RequestKind kind, const std::string& job, int64_t sent, int64_t answered) {
    history.requests.push_back({kind, job, "balancer", sent * kSecond, answered * kSecond, 202, 5});
    return history.requests.back();
  }

  TaskRun& AddRun(const std::string& job, const std::string& vertex, uint32_t subtask,
                  int64_t started, int64_t alive, TaskEnd end) {
    TaskRun run;
    run.name = {job, vertex, subtask};
    run.epoch = 5;
    run.worker = "w1";
    run.pid = ++pids_;
    run.started_ns = started * kSecond;
    run.alive_ns = alive * kSecond;
    run.end = end;
    history.runs.push_back(run);
    return history.runs.back();
  }

  void Sighting(const std::string& job, const std::string& replica, int64_t at,
                const std::string& state) {
    history.job_sightings.push_back(
        {job, replica, at * kSecond - kSecond / 10, at * kSecond, state});
  }

  // Another one of those faults, judged a second after the healing.
  ChaosRound& AddRound(const std::vector<std::string>& kinds, int64_t from, int64_t healed) {
    ChaosRound round = history.rounds[0];
    round.number = static_cast<int>(history.rounds.size()) + 1;
    round.kinds = kinds;
    round.from_ns = from * kSecond;
    round.healed_ns = healed * kSecond;
    round.until_ns = (healed + 1) * kSecond;
    round.epochs = 0;
    history.rounds.push_back(round);
    return history.rounds.back();
  }

  void Acknowledged(const std::string& job, RequestKind kind, int64_t at) {
    for (ClientRequest& request : history.requests) {
      if (request.job == job && request.kind == kind) request.answered_ns = at * kSecond;
    }
  }

  TaskRun& RunOf(const std::string& job) {
    for (TaskRun& run : history.runs) {
      if (run.name.job == job) return run;
    }
    return history.runs.front();
  }

  // The names of the verdicts that find something.
  std::vector<std::string> Violated() const {
    std::vector<std::string> names;
    for (const Verdict& verdict : JudgeChaos(history, ChaosLimits())) {
      if (!verdict.holds()) names.push_back(verdict.name);
    }
    return names;
  }

  ChaosHistory history;

 private:
  int64_t pids_ = 100;
};

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(Checker, BlamesNothingWhereNothingIsWrong) { EXPECT_THAT(Violated(), IsEmpty()); }

TEST_F(Checker, LooksAtSomethingForEveryVerdict) {
  for (const Verdict& verdict : JudgeChaos(history, ChaosLimits())) {
    if (verdict.name == "L5") continue;  // too few rounds
    EXPECT_GT(verdict.checked, 0u) << verdict.name;
  }
}

TEST_F(Checker, I1FindsALostJob) {
  history.states.erase("short");
  EXPECT_THAT(Violated(), ElementsAre("I1"));
}

TEST_F(Checker, I1FindsAFinishedJobThatNeverRan) {
  std::erase_if(history.runs, [](const TaskRun& run) { return run.name.job == "short"; });
  EXPECT_THAT(Violated(), ElementsAre("I1"));
}

TEST_F(Checker, I1FindsAFinishedJobOfWhichOneTaskNeverEnded) {
  history.jobs["graph"].vertices[0].parallelism = 3;
  EXPECT_THAT(Violated(), Contains("I1"));
}

TEST_F(Checker, I1ExpectsNothingOfAJobThatWasNotAcknowledged) {
  history.states.erase("short");
  for (ClientRequest& request : history.requests) {
    if (request.job == "short") request.status = 503;
  }
  EXPECT_THAT(Violated(), IsEmpty());
}

TEST_F(Checker, I2FindsAJobThatRanTwice) {
  AddRun("short", "task", 0, 7, 8, TaskEnd::kFinished);
  EXPECT_THAT(Violated(), ElementsAre("I2", "I6"));
}

TEST_F(Checker, I2ExcusesATaskWhoseWorkerWasLostBeforeItCouldTell) {
  AddJob("timed", {JobKind::kTimed, {{"task", 1, {}}}}, "FINISHED");
  AddRun("timed", "task", 0, 2, 9, TaskEnd::kFinished).worker = "w2";
  AddRun("timed", "task", 0, 12, 19, TaskEnd::kFinished).epoch = 6;
  EXPECT_THAT(Violated(), IsEmpty());
  EXPECT_EQ(JudgeOneRun(history, ChaosLimits()).excused, 1u);
}

TEST_F(Checker, I2IsNotExcusedByAHarmLongAfterTheEnd) {
  history.harms.push_back({"w1", 9 * kSecond, 20 * kSecond});  // it ended at 3
  AddRun("short", "task", 0, 12, 13, TaskEnd::kFinished).epoch = 6;
  EXPECT_THAT(Violated(), Contains("I2"));
}

TEST_F(Checker, I2IsNotExcusedByAHarmThatWasOverBeforeTheEnd) {
  AddJob("timed", {JobKind::kTimed, {{"task", 1, {}}}}, "FINISHED");
  AddRun("timed", "task", 0, 12, 25, TaskEnd::kFinished).worker = "w2";  // harmed until 20
  AddRun("timed", "task", 0, 40, 53, TaskEnd::kFinished).epoch = 6;
  EXPECT_THAT(Violated(), ElementsAre("I2"));
}

TEST_F(Checker, I3FindsAReplicaThatGoesBack) {
  history.sightings.push_back({"r1", 13 * kSecond, 5, "r1"});
  EXPECT_THAT(Violated(), ElementsAre("I3"));
}

TEST_F(Checker, I3FindsAnEpochWithTwoLeaders) {
  history.sightings.push_back({"r3", 13 * kSecond, 6, "r3"});
  EXPECT_THAT(Violated(), ElementsAre("I3"));
}

TEST_F(Checker, I3FindsACommitOfAnOlderLeader) {
  AddJob("newer", {JobKind::kShort, {}}, "FINISHED");
  history.requests.back().epoch = 6;
  Request(RequestKind::kSubmit, "newer", 3, 4).epoch = 5;
  EXPECT_THAT(Violated(), ElementsAre("I3"));
}

TEST_F(Checker, I3AllowsAnAnswerOnTheWay) {
  AddJob("newer", {JobKind::kShort, {}}, "FINISHED");
  history.requests.back().epoch = 6;
  Request(RequestKind::kSubmit, "newer", 1, 9).epoch = 5;  // sent before the other was answered
  EXPECT_THAT(Violated(), IsEmpty());
}

TEST_F(Checker, I4FindsAWorkerThatObeysAZombie) {
  AddRun("zombie", "task", 0, 40, 41, TaskEnd::kFinished).epoch = 5;  // w1 has seen 6 at 12
  EXPECT_THAT(Violated(), ElementsAre("I4"));
}

TEST_F(Checker, I4FindsAZombieThatWokeUpTwoSecondsAgo) {
  AddRun("zombie", "task", 0, 15, 16, TaskEnd::kFinished).epoch = 5;
  EXPECT_THAT(Violated(), ElementsAre("I4"));
}

TEST_F(Checker, I4AllowsAShellThatStartsSlowly) {
  AddRun("slow", "task", 0, 14, 15, TaskEnd::kFinished).epoch = 5;
  EXPECT_THAT(Violated(), IsEmpty());
}

TEST_F(Checker, I5FindsTwoLivingAttempts) {
  history.runs.back().started_ns = 11 * kSecond - 1;  // the first one of "long" lived until 11
  EXPECT_THAT(Violated(), ElementsAre("I5"));
}

TEST_F(Checker, I5FindsAnAttemptThatOutlivesItsSuccessor) {
  AddRun("short", "task", 0, 1, 9, TaskEnd::kUnknown).worker = "w2";
  AddRun("short", "task", 0, 5, 6, TaskEnd::kFinished).worker = "w2";
  EXPECT_THAT(Violated(), Contains("I5"));
}

TEST_F(Checker, I5ComparesWithWhoeverLivesLongest) {
  RunOf("short").alive_ns = 9 * kSecond;
  AddRun("short", "task", 0, 4, 5, TaskEnd::kUnknown);
  AddRun("short", "task", 0, 7, 8, TaskEnd::kUnknown);  // after the second, beside the first
  EXPECT_EQ(JudgeSingleAttempt(history).violations.size(), 2u);
}

TEST_F(Checker, I6FindsATaskThatDidNotWait) {
  for (TaskRun& run : history.runs) {
    if (run.name.vertex == "join") run.started_ns = 4 * kSecond - 1;
  }
  EXPECT_THAT(Violated(), ElementsAre("I6"));
}

TEST_F(Checker, I6FindsAnInputThatWasKilledAndNotRunAgain) {
  for (TaskRun& run : history.runs) {
    if (run.name.vertex == "split") run.end = TaskEnd::kTerminated;
  }
  EXPECT_THAT(Violated(), Contains("I6"));
}

TEST_F(Checker, I6FindsATaskThatStartsAfterItsJobHadEnded) {
  // What I2 excuses: the first attempt's worker was harmed when it ended.
  history.harms.push_back({"w1", 3 * kSecond, 9 * kSecond});
  AddRun("short", "task", 0, 7, 8, TaskEnd::kFinished);
  EXPECT_THAT(Violated(), ElementsAre("I6"));
}

TEST_F(Checker, I6AllowsALineThatComesALittleLate) {
  history.harms.push_back({"w1", 3 * kSecond, 9 * kSecond});
  AddRun("short", "task", 0, 6, 6, TaskEnd::kFinished);  // it was seen FINISHED at 4
  EXPECT_THAT(Violated(), IsEmpty());
}

TEST_F(Checker, I6FindsATaskThatStartsAfterItsCancellation) {
  Acknowledged("cancelled", RequestKind::kCancel, 15);
  RunOf("cancelled").alive_ns = 16 * kSecond;
  history.rounds[0].healed_ns = 26 * kSecond;  // that round explains all to I7 until 36
  history.harms.push_back({"w1", 15 * kSecond, 17 * kSecond});
  AddRun("cancelled", "task", 0, 26, 27, TaskEnd::kTerminated).worker = "w3";
  history.runs.back().epoch = 6;
  EXPECT_THAT(Violated(), ElementsAre("I6"));
  // A deployment that waited for its worker on the way.
  history.harms.push_back({"w3", 14 * kSecond, 31 * kSecond});
  EXPECT_THAT(Violated(), IsEmpty());
}

TEST_F(Checker, I7FindsACancelledTaskThatLives) {
  RunOf("cancelled").alive_ns = 40 * kSecond;
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7FindsACancelledTaskThatComesBack) {
  AddRun("cancelled", "task", 0, 60, 61, TaskEnd::kUnknown);
  EXPECT_THAT(Violated(), Contains("I7"));
}

TEST_F(Checker, I7CountsFromTheEndOfTheFaults) {
  for (ClientRequest& request : history.requests) {
    if (request.job == "cancelled" && request.kind == RequestKind::kCancel) {
      request.answered_ns = 11 * kSecond;  // in the middle of the round
    }
  }
  EXPECT_THAT(Violated(), IsEmpty());  // it lived until 30: 10 s after the healing
  RunOf("cancelled").alive_ns = 31 * kSecond;
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7IsNotExcusedByFaultsThatCameLater) {
  history.rounds.push_back(history.rounds[0]);
  history.rounds.back().from_ns = 60 * kSecond;
  history.rounds.back().healed_ns = 70 * kSecond;
  RunOf("cancelled").alive_ns = 45 * kSecond;
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7IsNotExcusedByAChainOfRounds) {
  // A round every three seconds, as in every run: each began within 10 s of the end of the last.
  for (int64_t start = 30; start < 300; start += 3) AddRound({"loss"}, start, start + 1);
  RunOf("cancelled").alive_ns = 49 * kSecond;  // acknowledged at 29: rounds until 39 may delay it
  EXPECT_THAT(Violated(), IsEmpty());
  EXPECT_EQ(JudgeCancelled(history, ChaosLimits()).excused, 1u);
  RunOf("cancelled").alive_ns = 51 * kSecond;
  EXPECT_THAT(Violated(), ElementsAre("I7"));
  RunOf("cancelled").alive_ns = 290 * kSecond;
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7ExcusesAWorkerThatWasOutOfReachAgain) {
  AddRound({"worker-cut-long"}, 30, 44);
  AddRound({"worker-stop"}, 52, 57);
  RunOf("cancelled").alive_ns = 56 * kSecond;
  EXPECT_THAT(Violated(), ElementsAre("I7"));
  history.harms.push_back({"w3", 52 * kSecond, 62 * kSecond});
  EXPECT_THAT(Violated(), ElementsAre("I7")) << "not its own";
  history.harms.push_back({"w1", 52 * kSecond, 62 * kSecond});
  EXPECT_THAT(Violated(), IsEmpty());
  history.harms.push_back({"w1", 61 * kSecond, 80 * kSecond});  // but once
  RunOf("cancelled").alive_ns = 63 * kSecond;
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7FindsAJobThatEndedTwice) {
  Sighting("short", "r2", 15, "CANCELED");
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7FindsAJobThatIsNotAsItHadEnded) {
  Sighting("graph", "r2", 8, "FAILED");
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7FindsAnEndedJobThatLivesAgain) {
  Sighting("short", "r2", 40, "RUNNING");
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, I7AllowsAWordOfALeaderThatIsNoneWhileFaultsGoOn) {
  Sighting("short", "r2", 15, "RUNNING");
  EXPECT_THAT(Violated(), IsEmpty());
  EXPECT_EQ(JudgeFinal(history).excused, 1u);
}

TEST_F(Checker, I7AllowsAnAnswerOnTheWay) {
  history.job_sightings.push_back({"short", "r2", 3 * kSecond, 5 * kSecond, "RUNNING"});
  EXPECT_THAT(Violated(), IsEmpty());
}

TEST_F(Checker, I8FindsAMissingBlob) {
  history.missing_blobs["r2"] = 1;
  EXPECT_THAT(Violated(), ElementsAre("I8"));
}

TEST_F(Checker, I9FindsAJobThatEndedOtherwise) {
  for (const auto& [job, state] : std::map<std::string, std::string>{{"short", "FAILED"},
                                                                     {"short", "RUNNING"},
                                                                     {"failing", "RUNNING"},
                                                                     {"cancelled", "FINISHED"},
                                                                     {"long", "FAILED"}}) {
    const std::string before = history.states[job];
    history.states[job] = state;
    EXPECT_THAT(Violated(), Contains("I9")) << job;
    history.states[job] = before;
  }
}

TEST_F(Checker, I10FindsASlotThatIsNotFree) {
  history.slots_free = 7;
  EXPECT_THAT(Violated(), ElementsAre("I10"));
}

TEST_F(Checker, I10FindsASlotThatIsNotThere) {
  history.slots_free = history.slots_total = 7;
  EXPECT_THAT(Violated(), ElementsAre("I10"));
}

TEST_F(Checker, I11FindsATaskThatWasInterruptedForNothing) {
  history.harms.clear();
  EXPECT_THAT(Violated(), ElementsAre("I11"));
}

TEST_F(Checker, I11ExcusesOnlyTheHarmedWorker) {
  history.harms[0].worker = "w1";
  EXPECT_THAT(Violated(), ElementsAre("I11"));
}

TEST_F(Checker, I11ExcusesOnlyTheTimeOfTheHarm) {
  history.harms.push_back({"w1", 95 * kSecond, 99 * kSecond});
  AddRun("cancelled", "task", 0, 2, 2, TaskEnd::kUnknown).started_ns = kSecond;
  EXPECT_THAT(Violated(), Contains("I11"));
}

TEST_F(Checker, I11IsNotExcusedByAHarmThatItLivedThrough) {
  AddRun("long", "task", 0, 95, 99, TaskEnd::kUnknown).epoch = 6;  // w1, harmed before the first
  history.harms.push_back({"w1", 40 * kSecond, 50 * kSecond});     // ended at 90
  EXPECT_THAT(Violated(), Contains("I11"));
}

TEST_F(Checker, L1FindsADisagreement) {
  history.rounds[0].agreed_ms = -1;
  EXPECT_THAT(Violated(), ElementsAre("L1"));
  history.rounds[0].agreed_ms = 5001;
  EXPECT_THAT(Violated(), ElementsAre("L1"));
}

TEST_F(Checker, L2FindsAJobThatDoesNotGoOn) {
  history.rounds[0].progress_ms = 5001;
  EXPECT_THAT(Violated(), ElementsAre("L2"));
}

TEST_F(Checker, L2FindsThatNoNewJobRuns) {
  history.rounds[0].new_job_ms = -1;
  EXPECT_THAT(Violated(), ElementsAre("L2"));
}

TEST_F(Checker, L4FindsAStormOfElections) {
  history.rounds[0].epochs = 3;  // one was killed
  EXPECT_THAT(Violated(), ElementsAre("L4"));
}

TEST_F(Checker, L4FindsAnElectionOfNothing) {
  AddRound({"worker-kill"}, 40, 41).epochs = 1;
  EXPECT_THAT(Violated(), ElementsAre("L4"));
  history.rounds.back().kinds = {"worker-cut", "leader-cut-balancer"};
  EXPECT_THAT(Violated(), ElementsAre("L4"));
}

TEST_F(Checker, L4FindsALeaderThatFallsOnceInEveryPause) {
  history.rounds[0].epochs = 2;
  EXPECT_THAT(Violated(), IsEmpty()) << "a busy machine";
  for (int64_t i = 4; i < 14; ++i) AddRound({"leader-kill"}, 10 * i, 10 * i + 1).epochs = 2;
  EXPECT_THAT(Violated(), ElementsAre("L4"));
}

TEST_F(Checker, L4AllowsFaultsThatMeet) {
  AddRound({"leader-kill", "bridge"}, 40, 41).epochs = 3;
  EXPECT_THAT(Violated(), IsEmpty());
  EXPECT_EQ(JudgeElections(history, ChaosLimits()).excused, 0u);
}

TEST_F(Checker, L5FindsRecoveriesThatGetSlower) {
  history.rounds.resize(8, history.rounds[0]);
  EXPECT_THAT(Violated(), IsEmpty());
  for (size_t i = 4; i < 8; ++i) history.rounds[i].agreed_ms = 1300;
  EXPECT_THAT(Violated(), ElementsAre("L5"));
}

TEST_F(Checker, L5FindsThatClientsWaitLongerForTheNextLeader) {
  for (int64_t i = 4; i < 14; ++i) AddRound({"leader-kill"}, 10 * i, 10 * i + 1).gap_ms = 250;
  EXPECT_THAT(Violated(), IsEmpty());
  EXPECT_EQ(JudgeTrend(history).checked, 10u);
  for (size_t i = 6; i < history.rounds.size(); ++i) history.rounds[i].gap_ms = 900;
  EXPECT_THAT(Violated(), ElementsAre("L5"));
}

TEST_F(Checker, ARunThatProvesNothingDoesNotPass) {
  history.job_sightings.clear();
  EXPECT_THAT(Violated(), IsEmpty()) << "a short one may";
  for (int64_t i = 4; i < 15; ++i) AddRound({"loss"}, 10 * i, 10 * i + 1);
  EXPECT_THAT(Violated(), ElementsAre("I7"));
}

TEST_F(Checker, TheMixFindsAFaultThatIsNeverDone) {
  ChaosRound round = history.rounds[0];
  round.kinds = {"leader-kill", "leader-disk-full"};
  round.left_out = {"leader-disk-full"};
  round.epochs = 0;
  history.rounds.insert(history.rounds.end(), 3, round);
  EXPECT_THAT(Violated(), IsEmpty()) << "it may just have found no place";
  history.rounds.push_back(round);
  EXPECT_THAT(Violated(), ElementsAre("mix"));
  round.left_out.clear();
  history.rounds.push_back(round);
  EXPECT_THAT(Violated(), IsEmpty());
}

}  // namespace
}  // namespace baton
