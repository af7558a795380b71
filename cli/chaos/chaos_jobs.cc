#include "cli/chaos/chaos_jobs.h"

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

using Json = nlohmann::ordered_json;

// $0: the trace; $1: for how many seconds (a line in each); $2: the exit code, after which nothing
// more is written. One printf is one write to a file opened for appending: lines do not mix. No
// other process is started: the pid is all there is of the task.
constexpr char kScript[] =
    "t() { printf '%s %s %s %s %s %s %s %s\\n' \"$1\" \"$BATON_JOB_ID\" \"$BATON_VERTEX_ID\" "
    "\"$BATON_SUBTASK\" \"$BATON_ATTEMPT\" \"$$\" \"${EPOCHREALTIME/./}\" \"$BATON_WORK_DIR\" "
    ">>\"$BATON_SHARED_DIR/$0\"; }\n"
    "trap 't term; exit 143' TERM\n"
    "t start\n"
    "if (($1 > 0)); then exec 9<> <(:); fi\n"
    "for ((i = 0; i < $1; ++i)); do read -rt 1 -u 9; t alive; done\n"
    "(($2 == 0)) || exit $2\n"
    "t end\n";
constexpr int kForEver = 86'400;

class JobMaker {
 public:
  JobMaker(JobKind kind, const std::string& trace) : trace_(trace) { job_.planned.kind = kind; }

  void Add(const PlannedVertex& vertex, int seconds, int exit_code = 0) {
    job_.planned.vertices.push_back(vertex);
    vertices_.push_back(
        Json{{"id", vertex.id},
             {"parallelism", vertex.parallelism},
             {"command", Json::array({"bash", "-c", kScript, trace_, std::to_string(seconds),
                                      std::to_string(exit_code)})}});
    for (const std::string& input : vertex.inputs) {
      edges_.push_back(Json{{"source", input}, {"target", vertex.id}, {"pattern", "all-to-all"}});
    }
  }

  ChaosJob Take() {
    Json json{{"name", std::string("chaos: ") + NameOf(job_.planned.kind)},
              {"vertices", vertices_}};
    if (!edges_.empty()) json["edges"] = edges_;
    job_.json = json.dump();
    return std::move(job_);
  }

 private:
  const std::string trace_;
  ChaosJob job_;
  Json vertices_ = Json::array();
  Json edges_ = Json::array();
};

}  // namespace

const char* NameOf(JobKind kind) {
  switch (kind) {
    case JobKind::kShort:
      return "short";
    case JobKind::kTimed:
      return "timed";
    case JobKind::kGraph:
      return "graph";
    case JobKind::kFailing:
      return "failing";
    case JobKind::kCancelled:
      return "cancelled";
    case JobKind::kLong:
      return "long";
  }
  return "";
}

ChaosJob MakeChaosJob(JobKind kind, const std::string& trace, Random& random) {
  JobMaker job(kind, trace);
  switch (kind) {
    case JobKind::kShort:
      job.Add({"task", 1, {}}, 0);
      break;
    case JobKind::kTimed:
      job.Add({"task", 1, {}}, 2 + static_cast<int>(random.Next() % 14));
      break;
    case JobKind::kGraph: {
      const auto width = static_cast<uint32_t>(1 + random.Next() % 3);
      job.Add({"split", 1, {}}, 0);
      job.Add({"count", width, {"split"}}, static_cast<int>(random.Next() % 3));
      job.Add({"sort", width, {"split"}}, 0);
      job.Add({"join", 1, {"count", "sort"}}, 0);
      break;
    }
    case JobKind::kFailing:
      job.Add({"task", 1, {}}, 0, 3);
      break;
    case JobKind::kCancelled:
      job.Add({"task", 2, {}}, kForEver);
      break;
    case JobKind::kLong:
      job.Add({"task", kChaosLongTasks, {}}, kForEver);
      break;
  }
  return job.Take();
}

}  // namespace baton
