// What the tasks of a drill wrote themselves, one line
// "<id> <attempt> <pid> <start ns> <work directory>" for each start: the only witness that the
// cluster cannot talk over.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

struct TaskStart {
  int64_t at_ns = 0;  // of the wall clock
  std::string place;  // its work directory, which says which worker ran it
};

// Reads a file that others append to; a file that is not there yet is empty. One thread.
class StartTrace {
 public:
  explicit StartTrace(std::string path) : path_(std::move(path)) {}

  // Takes in the lines that were added since the last time; a line without its end waits.
  void Refresh();
  // Takes in a text; returns how much of it (whole lines) was consumed.
  size_t Consume(std::string_view text);

  // By id, each in the order of the file.
  const std::map<std::string, std::vector<TaskStart>>& starts() const { return starts_; }
  uint64_t StartsOf(const std::string& id) const;
  size_t DistinctIds() const { return starts_.size(); }
  // The ids that started more than once.
  std::vector<std::string> Repeated() const;
  // Those of `ids` that never started.
  std::vector<std::string> Missing(const std::vector<std::string>& ids) const;
  // Starts beyond the first of each id.
  uint64_t ExtraStarts() const;
  // Lines that are no such lines; a sound trace has none.
  uint64_t malformed() const { return malformed_; }

 private:
  const std::string path_;
  uint64_t offset_ = 0;
  uint64_t malformed_ = 0;
  std::map<std::string, std::vector<TaskStart>> starts_;
};

}  // namespace baton
