#include "base/log.h"

#include <atomic>
#include <memory>
#include <mutex>

#include "base/status.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/basic_file_sink.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace baton::log {
namespace {

constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %^%L%$ [%n] %v";

struct Output {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger;
  Sink sink;
  std::atomic<Level> least{Level::kInfo};
};

Output& TheOutput() {
  static Output& output = *new Output;  // never destroyed: threads may log until the very end
  return output;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> NewLogger(const std::string& process, spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>(process, std::move(sink));
  logger->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(kPattern, spdlog::pattern_time_type::utc));
  logger->set_level(spdlog::level::debug);
  // Every line is on its way to the kernel before the next step: a killed process leaves its log.
  logger->flush_on(spdlog::level::debug);
  return logger;
}

}  // namespace

absl::Status Init(const std::string& process, const std::string& file, Level least) {
  spdlog::sink_ptr sink;
  try {
    if (file == "-") {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    }
  } catch (const spdlog::spdlog_ex& e) {
    return Unavailable("cannot open the log file {}: {}", file, e.what());
  }
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  output.logger = NewLogger(process, std::move(sink));
  output.least = least;
  return absl::OkStatus();
}

absl::StatusOr<Level> ParseLevel(std::string_view name) {
  if (name == "debug") return Level::kDebug;
  if (name == "info") return Level::kInfo;
  if (name == "warning") return Level::kWarning;
  if (name == "error") return Level::kError;
  return InvalidArgument("'{}' is no log level; use debug, info, warning or error", name);
}

void SetSink(Sink sink) {
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  output.sink = std::move(sink);
}

bool Enabled(Level level) { return level >= TheOutput().least.load(std::memory_order_relaxed); }

void Write(Level level, std::string line) {
  Output& output = TheOutput();
  std::shared_ptr<spdlog::logger> logger;
  Sink sink;
  {
    std::lock_guard lock(output.mutex);
    if (!output.logger) {
      output.logger = NewLogger("baton", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    }
    logger = output.logger;
    sink = output.sink;
  }
  if (sink) sink(level, line);
  if (Enabled(level)) logger->log(ToSpdlog(level), line);
}

}  // namespace baton::log
