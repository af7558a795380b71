// What `baton run` shows of its job while it runs: a line for each change, and the tasks' output.
//
// Threading: one thread, which blocks in the client's calls.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "rest/client/rest_client.h"

namespace baton {

// "running 2, finished 1": the counts that are not zero, in the order of a task's life.
std::string CountsText(const std::map<std::string, int64_t>& tasks);
// "0.4 s", "1 min 5 s"
std::string SpanText(int64_t ms);

// Lines for what differs from the last view. Pure; the first view is compared with nothing.
class ProgressLines {
 public:
  std::string Next(const JobView& view);

 private:
  std::map<std::string, std::string> shown_;  // by vertex: its counts
};

// Copies what tasks write to stdout and stderr of this process, each line behind its task's name.
class TaskOutput {
 public:
  TaskOutput(RestClient& client, std::string job) : client_(client), job_(std::move(job)) {}

  // Prints what is new. True when everything that was ever started has been copied whole.
  bool CopyNew(const JobView& view);

 private:
  enum class Stream { kStdout, kStderr };
  struct Source {
    uint64_t offset = 0;
    std::string line;  // begun
    bool ended = false;
  };
  // Vertex, subtask, attempt, stream.
  using Name = std::tuple<std::string, uint32_t, uint32_t, Stream>;

  void FindSources(const VertexRow& vertex);
  bool Copy(const VertexRow& vertex, const Name& name, Source& source);
  void PrintLines(const VertexRow& vertex, const Name& name, Source& source);

  RestClient& client_;
  const std::string job_;
  std::map<Name, Source> sources_;
};

// What a person asks first of a failed job: the cause, and the end of the failing task's stderr.
std::string FailureText(RestClient& client, const JobView& view);

}  // namespace baton
