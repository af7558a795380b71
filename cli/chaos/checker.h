// Judges a history of chaos: the invariants and the promises of progress, with nothing excused but
// what a fault explains: a task whose worker was harmed between one run of it and the next may run
// again. Pure: no clock, no file, no cluster.
//
// No false alarm: every check relies on what certainly was (a process that was seen alive, an
// answer that a client holds), not on what probably was.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/chaos/history.h"

namespace baton {

struct ChaosLimits {
  double agreed_ms = 5'000;
  double new_job_ms = 10'000;         // from the healed cluster: submitted after it agrees
  double cancelled_gone_ms = 10'000;  // after the acknowledgement, or the faults that overlap it
  // A deployment that was obeyed in time may write its first line so late.
  double late_start_ms = 5'000;
  uint64_t epochs_per_fault = 6;  // elections under flapping links stay bounded
  // So often a fault may be drawn that cannot be done just then (the disk is full already), with
  // nothing to show for it. More is a fault that is never done, and a mix that lacks it.
  uint64_t drawn_in_vain = 4;
};

struct Verdict {
  std::string name;  // "I5"
  std::string what;
  uint64_t checked = 0;  // how many things were looked at: 0 says that the run proves nothing here
  uint64_t excused = 0;  // that a fault explains
  std::vector<std::string> violations;

  bool holds() const { return violations.empty(); }
};

std::vector<Verdict> JudgeChaos(const ChaosHistory& history, const ChaosLimits& limits);

// The parts; each is one or two verdicts.
Verdict JudgeAcknowledged(const ChaosHistory& history);                          // I1
Verdict JudgeOneRun(const ChaosHistory& history);                                // I2
Verdict JudgeEpochs(const ChaosHistory& history);                                // I3
Verdict JudgeZombies(const ChaosHistory& history, const ChaosLimits& limits);    // I4
Verdict JudgeSingleAttempt(const ChaosHistory& history);                         // I5
Verdict JudgeInputs(const ChaosHistory& history);                                // I6
Verdict JudgeCancelled(const ChaosHistory& history, const ChaosLimits& limits);  // I7
Verdict JudgeBlobs(const ChaosHistory& history);                                 // I8
Verdict JudgeEnds(const ChaosHistory& history);                                  // I9
Verdict JudgeSlots(const ChaosHistory& history);                                 // I10
Verdict JudgeUninterrupted(const ChaosHistory& history);                         // I11
Verdict JudgeAgreement(const ChaosHistory& history, const ChaosLimits& limits);  // L1
Verdict JudgeProgress(const ChaosHistory& history, const ChaosLimits& limits);   // L2
Verdict JudgeElections(const ChaosHistory& history, const ChaosLimits& limits);  // L4
Verdict JudgeTrend(const ChaosHistory& history);                                 // L5
Verdict JudgeMix(const ChaosHistory& history, const ChaosLimits& limits);        // the run itself

}  // namespace baton
