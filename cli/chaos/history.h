// What happened in a run of chaos, as told by those outside of the cluster: the tasks by the lines
// that they append to a file of the run, the clients by what they sent and were answered, whoever
// did the faults by what he did when. Of what the cluster says of itself there is who leads, which
// jobs it knows and in which state, how many slots are free, and how many blobs a replica lacks.
//
// Values without behaviour; times are nanoseconds of the machine's wall clock, which all of them
// read.

#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace baton {

struct SubtaskName {
  std::string job;
  std::string vertex;
  uint32_t subtask = 0;

  auto operator<=>(const SubtaskName&) const = default;
};

enum class TaskEnd {
  kUnknown,     // it wrote no last line: it lives, or it got SIGKILL
  kFinished,    // it did all it had to do
  kTerminated,  // it was told to stop, and did
};

// One process of a subtask.
struct TaskRun {
  SubtaskName name;
  uint32_t attempt = 0;
  uint64_t epoch = 0;  // of the leader that deployed it
  std::string worker;
  int64_t pid = 0;
  int64_t started_ns = 0;
  // The last instant at which it certainly lived: by its own lines, and by whoever looked at the
  // process. It may have lived on a little after it; so an overlap that is found is one.
  int64_t alive_ns = 0;
  TaskEnd end = TaskEnd::kUnknown;
};

enum class JobKind {
  kShort,      // one task that ends at once
  kTimed,      // one task of some seconds
  kGraph,      // several vertices, one after the other
  kFailing,    // its task exits with 3
  kCancelled,  // it runs until a client cancels it
  kLong,       // several tasks that run until the run of chaos ends them
};

struct PlannedVertex {
  std::string id;
  uint32_t parallelism = 1;
  std::vector<std::string> inputs;  // whole vertices that must have ended before
};

struct PlannedJob {
  JobKind kind = JobKind::kShort;
  std::vector<PlannedVertex> vertices;
};

enum class RequestKind { kSubmit, kCancel };

// One exchange of one client. A client that got no 2xx sends again: another record.
struct ClientRequest {
  RequestKind kind = RequestKind::kSubmit;
  std::string job;
  std::string to;  // "balancer", or a replica's name
  int64_t sent_ns = 0;
  int64_t answered_ns = 0;
  int status = 0;      // 0: no answer
  uint64_t epoch = 0;  // X-Baton-Epoch

  bool Acknowledged() const { return status >= 200 && status < 300; }
};

// In this time something was done to a worker, or to the network or to the leases around it, that
// may cost it its tasks.
struct WorkerHarm {
  std::string worker;
  int64_t from_ns = 0;
  int64_t until_ns = 0;
};

// A replica's word on a job. One that does not know the job, or does not answer, is no sighting.
struct JobSighting {
  std::string job;
  std::string asked;
  int64_t sent_ns = 0;
  int64_t answered_ns = 0;
  std::string state;  // JobStatus

  bool Ended() const { return state == "FINISHED" || state == "FAILED" || state == "CANCELED"; }
};

// A replica's word on who leads.
struct EpochSighting {
  std::string asked;
  int64_t at_ns = 0;
  uint64_t epoch = 0;
  std::string leader;
};

// One round: faults, their end, and how long the cluster took to be itself again. -1: not in time.
struct ChaosRound {
  int number = 0;
  std::vector<std::string> kinds;     // "leader-kill"
  std::vector<std::string> faults;    // what was done to whom
  std::vector<std::string> left_out;  // those of `kinds` that could not be done
  int64_t from_ns = 0;                // the first fault
  int64_t healed_ns = 0;  // the last one healed, every process started and serving its port
  int64_t until_ns = 0;   // judged
  // From healed_ns on:
  double agreed_ms = -1;    // exactly one 200 on /leader, all replicas agree
  double progress_ms = -1;  // every long task lives, every acknowledged short job has ended
  double new_job_ms = -1;   // a new job has run to its end
  double progress_limit_ms = 0;
  double gap_ms = 0;    // the longest time without an acknowledged submission
  uint64_t epochs = 0;  // that began in it, or after it and before the next
};

struct ChaosHistory {
  std::vector<TaskRun> runs;
  std::map<std::string, PlannedJob> jobs;  // by id; every job that a client sent
  std::vector<ClientRequest> requests;
  std::vector<WorkerHarm> harms;
  std::vector<EpochSighting> sightings;  // each replica's in order
  std::vector<ChaosRound> rounds;
  std::vector<JobSighting> job_sightings;
  // At the end, when the load is over and everything was cancelled that does not end by itself:
  std::map<std::string, std::string> states;  // JobStatus, of every job that the cluster knows
  int64_t slots_expected = 0;
  int64_t slots_total = 0;
  int64_t slots_free = 0;
  std::map<std::string, int64_t> missing_blobs;  // by replica
};

// Reads what the tasks write, line by line:
//   <start|alive|end|term> <job> <vertex> <subtask> <attempt> <pid> <wall clock us> <work
//   directory>
// The work directory ends in "/<worker>/work/…/<job>/<vertex>/<subtask>/<attempt>-e<epoch>/work".
class TaskTrace {
 public:
  // Takes in a text; returns how much of it (whole lines) was consumed.
  size_t Consume(std::string_view text);

  std::vector<TaskRun>& runs() { return runs_; }
  const std::vector<TaskRun>& runs() const { return runs_; }
  // How many subtasks of the job have done all their work.
  size_t FinishedOf(const std::string& job) const;
  // Lines that are no such lines; a sound trace has none.
  uint64_t malformed() const { return malformed_; }

 private:
  bool ConsumeLine(const std::string& line);

  std::vector<TaskRun> runs_;
  // Where in runs_ the process is whose work directory and pid these are.
  std::map<std::pair<std::string, int64_t>, size_t> by_process_;
  std::map<std::string, std::set<std::pair<std::string, uint32_t>>> finished_;  // by job
  uint64_t malformed_ = 0;
};

}  // namespace baton
