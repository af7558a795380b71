// Judges a history of chaos: the invariants and the promises of progress. Pure: no clock, no file,
// no cluster.
//
// Read are: what tasks wrote and what was seen of their processes (I2, I4 to I7, I11, and with the
// cluster's list of jobs I1); what clients were answered (I1, I3, I7, I9); what replicas say of who
// leads (I3, L1, L4) and of the jobs (I6, I7, at the end I1 and I9); at the end the leader's count
// of slots (I10) and each replica's own count of the blobs that it lacks (I8: it cannot show that
// such a count is wrong). I6 and I7 see of the ends of jobs what somebody happened to ask for.
//
// Excused is what a fault explains, and counted: a task whose own worker was harmed when it ended,
// or had just ended, may run again (I2, I11); a cancellation takes as long as the faults that
// overlap its 10 s (I6, I7), and what it was to end may live on with a worker that was harmed; a
// round that harmed a worker may take a lease longer until all progress (L2); a job that has ended
// may look alive to a replica in the middle of a round (I7). See Harmed, Undisturbed and Calm.
//
// No false alarm: every check relies on what certainly was (a process that was seen alive, an
// answer that a client holds), not on what probably was.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/chaos/history.h"

namespace baton {

struct ChaosLimits {
  double agreed_ms = 5'000;
  double new_job_ms = 10'000;         // from the healed cluster: submitted after it agrees
  double cancelled_gone_ms = 10'000;  // after the acknowledgement, or the faults that overlap it
  // A deployment that was obeyed in time may write its first line so late: what a shell takes to
  // start on a busy machine.
  double late_start_ms = 2'000;
  // What had ended, or was interrupted, so long before its worker was harmed, was not so because of
  // that: by then its end was told, and written down.
  double told_ms = 5'000;
  // One election more than its faults explain may come of a machine that is busy. Not often.
  uint64_t spare_epochs = 1;
  double rounds_with_spare = 0.1;  // and one
  // From so many rounds on each verdict must have looked at something.
  size_t rounds_that_prove = 12;
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
Verdict JudgeAcknowledged(const ChaosHistory& history);                              // I1
Verdict JudgeOneRun(const ChaosHistory& history, const ChaosLimits& limits);         // I2
Verdict JudgeEpochs(const ChaosHistory& history);                                    // I3
Verdict JudgeZombies(const ChaosHistory& history, const ChaosLimits& limits);        // I4
Verdict JudgeSingleAttempt(const ChaosHistory& history);                             // I5
Verdict JudgeInputs(const ChaosHistory& history, const ChaosLimits& limits);         // I6
Verdict JudgeCancelled(const ChaosHistory& history, const ChaosLimits& limits);      // I7
Verdict JudgeFinal(const ChaosHistory& history);                                     // I7
Verdict JudgeBlobs(const ChaosHistory& history);                                     // I8
Verdict JudgeEnds(const ChaosHistory& history);                                      // I9
Verdict JudgeSlots(const ChaosHistory& history);                                     // I10
Verdict JudgeUninterrupted(const ChaosHistory& history, const ChaosLimits& limits);  // I11
Verdict JudgeAgreement(const ChaosHistory& history, const ChaosLimits& limits);      // L1
Verdict JudgeProgress(const ChaosHistory& history, const ChaosLimits& limits);       // L2
Verdict JudgeElections(const ChaosHistory& history, const ChaosLimits& limits);      // L4
Verdict JudgeTrend(const ChaosHistory& history);                                     // L5
Verdict JudgeMix(const ChaosHistory& history, const ChaosLimits& limits);  // the run itself

// When a client first held an acknowledgement of that kind; by job.
std::map<std::string, int64_t> Acknowledged(const ChaosHistory& history, RequestKind kind);
// Whether something was done to the worker in that time.
bool Harmed(const ChaosHistory& history, const std::string& worker, int64_t from, int64_t until);

}  // namespace baton
