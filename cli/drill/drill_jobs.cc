#include "cli/drill/drill_jobs.h"

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

using Json = nlohmann::ordered_json;

// $1: the trace file below the shared directory. One printf to a file opened for appending is one
// write: lines of tasks that start together do not mix.
std::string StartScript(const std::string& id_variable, const std::string& then) {
  return fmt::format(
      "set -eu\n"
      "printf '%s %s %s %s %s\\n' \"${}\" \"$BATON_ATTEMPT\" \"$$\" \"$(date +%s%N)\" "
      "\"$BATON_WORK_DIR\" >> \"$BATON_SHARED_DIR/$1\"\n"
      "{}\n",
      id_variable, then);
}

std::string OneVertexJob(const std::string& name, Json vertex) {
  return Json{{"name", name}, {"vertices", Json::array({std::move(vertex)})}}.dump();
}

Json Command(const std::string& script, const std::string& trace_file) {
  return Json::array({"sh", "-c", script, "drill", trace_file});
}

}  // namespace

std::string LongJobJson(const std::string& run, int tasks) {
  return OneVertexJob(
      "drill: long tasks",
      {{"id", "long"},
       {"parallelism", tasks},
       {"command", Command(StartScript("BATON_SUBTASK", "exec sleep 86400"), run + "/long")}});
}

std::string SmallJobJson(const std::string& run) {
  return OneVertexJob(
      "drill: small job",
      {{"id", "small"}, {"command", Command(StartScript("BATON_JOB_ID", ":"), run + "/small")}});
}

}  // namespace baton
