// Baton's REST API, typed. Synchronous: for programs that have nothing else to do meanwhile (the
// command line, the drill, tests of real processes).
//
// Threading: any thread; blocking, so never on an Executor.
//
// Errors carry the server's own sentence: kInvalidArgument (400 and other 4xx), kNotFound (404),
// kFailedPrecondition (409), kResourceExhausted (429), kUnavailable (502, 503, 504 or nobody
// answers), kDeadlineExceeded, kInternal (other 5xx, or an answer that cannot be read).

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "rest/client/http_session.h"

namespace baton {

// An answer as a value, and the text it was read from.
template <class T>
struct Answer {
  T value;
  std::string json;
};

struct SubmittedJob {
  std::string id;
  std::string replica;  // that answered
};

struct JobRow {
  std::string id;
  std::string name;
  std::string state;  // Flink's JobStatus
  int64_t start_ms = -1;
  int64_t end_ms = -1;
  int64_t duration_ms = 0;
  int64_t tasks_total = 0;
  std::map<std::string, int64_t> tasks;  // by lower-case ExecutionState
};

struct VertexRow {
  std::string id;
  std::string name;
  std::string state;
  int64_t parallelism = 0;
  int64_t start_ms = -1;
  int64_t duration_ms = 0;
  std::map<std::string, int64_t> tasks;  // by upper-case ExecutionState
};

struct JobView {
  std::string id;
  std::string name;
  std::string state;
  int64_t start_ms = -1;
  int64_t end_ms = -1;
  int64_t duration_ms = 0;
  std::vector<VertexRow> vertices;

  // FINISHED, FAILED or CANCELED.
  bool Ended() const;
};

struct LeaderView {
  uint64_t epoch = 0;
  std::string replica;  // empty: nobody leads
  std::string address;
  int64_t since_ms = -1;
};

struct ReplicaRow {
  std::string id;
  std::string address;
  bool alive = false;
  bool member = false;
  bool leader = false;
  bool retired = false;
};

struct TaskManagerRow {
  std::string id;
  std::string path;
  int64_t slots = 0;
  int64_t free_slots = 0;
  int64_t last_heartbeat_ms = -1;
  std::string status;  // "connected", "disconnected", "awaited"
  bool draining = false;
  int64_t drain_deadline_ms = -1;
};

struct OverviewView {
  int64_t task_managers = 0;
  int64_t slots_total = 0;
  int64_t slots_available = 0;
  int64_t jobs_running = 0;
  int64_t jobs_finished = 0;
  int64_t jobs_cancelled = 0;
  int64_t jobs_failed = 0;
};

struct LogPiece {
  std::string text;
  uint64_t size = 0;   // of the whole log now
  bool ended = false;  // nothing will be added
};

struct LogRequest {
  std::string job;
  std::string vertex;
  uint32_t subtask = 0;
  uint32_t attempt = 0;
  std::string stream = "stdout";  // or "stderr"
  uint64_t offset = 0;
  bool follow = false;  // wait at the server for more, for about 10 s
};

class RestClient {
 public:
  struct Options {
    HttpSession::Options http;
    // How long Submit goes on trying while nobody answers or nobody leads.
    std::chrono::milliseconds submit_deadline = std::chrono::seconds(60);
  };

  static absl::StatusOr<std::unique_ptr<RestClient>> Open(Options options);
  static absl::StatusOr<std::unique_ptr<RestClient>> Open(const std::string& server);

  // Always under an id (`id`, the job's own "jobid", or a new random one), so that trying again is
  // safe (P2): through connection errors, 429 and 503, until the deadline.
  absl::StatusOr<Answer<SubmittedJob>> Submit(const std::string& job_json,
                                              std::optional<JobId> id = std::nullopt);

  absl::StatusOr<Answer<std::vector<JobRow>>> ListJobs();
  absl::StatusOr<Answer<JobView>> GetJob(const std::string& id);
  absl::Status Cancel(const std::string& id);
  absl::StatusOr<LogPiece> Logs(const LogRequest& request);
  absl::StatusOr<Answer<LeaderView>> Leader();
  // Returns what the server said, as JSON.
  absl::StatusOr<std::string> Transfer();
  // Likewise; `without`: members whose disks are lost, separated by commas.
  absl::StatusOr<std::string> RecoverPointers(const std::string& without);
  absl::StatusOr<Answer<OverviewView>> Overview();
  absl::StatusOr<Answer<std::vector<TaskManagerRow>>> TaskManagers();
  absl::StatusOr<Answer<std::vector<ReplicaRow>>> Replicas();
  absl::StatusOr<std::string> Failovers();  // JSON

  // `deadline` as "10 min"; none: running tasks may finish.
  absl::Status Drain(const std::string& task_manager, const std::optional<std::string>& deadline);
  absl::Status CancelDrain(const std::string& task_manager);
  absl::Status Forget(const std::string& task_manager);
  absl::Status Retire(const std::string& replica);
  absl::Status Admit(const std::string& replica);

  // The current attempt of a subtask.
  absl::StatusOr<uint32_t> CurrentAttempt(const std::string& job, const std::string& vertex,
                                          uint32_t subtask);

  // Any answer, whatever its status.
  absl::StatusOr<RestReply> Send(const std::string& method, const std::string& path,
                                 const std::string& body = "",
                                 const HttpSession::Headers& headers = {});
  absl::StatusOr<RestReply> Get(const std::string& path) { return Send("GET", path); }

  const std::string& server() const { return http_->server(); }

 private:
  RestClient(Options options, std::unique_ptr<HttpSession> http);

  // A 2xx answer, or the error that its status and its body say.
  absl::StatusOr<RestReply> SendOk(const std::string& method, const std::string& path,
                                   const std::string& body = "");

  Options options_;
  std::unique_ptr<HttpSession> http_;
};

// The error an answer stands for; OK for 2xx.
absl::Status ToStatus(const RestReply& reply);

}  // namespace baton
