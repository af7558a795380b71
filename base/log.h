// Logs: one line a state change, as key=value with job_id, epoch, session_id where there is one. An
// error line means that someone must look.
//
//   log::Info("job submitted job_id={} epoch={}", id.ToString(), epoch.value);
//
// Threading: any thread. spdlog stays behind this header.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fmt/core.h"

namespace baton::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Where the lines of this process go: "-" is stderr, anything else a file that is appended to.
// `process` names the process in each line. Before Init, lines go to stderr.
absl::Status Init(const std::string& process, const std::string& file, Level least);
absl::StatusOr<Level> ParseLevel(std::string_view name);  // debug, info, warning, error

// Tests see the lines too (the simulator fails a run on an error line that no fault explains).
using Sink = std::function<void(Level, const std::string& line)>;
void SetSink(Sink sink);

void Write(Level level, std::string line);
bool Enabled(Level level);

template <class... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kDebug)) {
    Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace baton::log
