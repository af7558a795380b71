#include "cli/run/embedded_process.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/status.h"
#include "cli/cluster/cluster_state.h"
#include "nlohmann/json.hpp"
#include "rest/client/wait.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartLimit(60);
constexpr std::chrono::seconds kStopLimit(60);
constexpr std::chrono::seconds kKillLimit(10);

// It stands beside whichever program this is.
std::string DispatcherBinary() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const char* elsewhere = std::getenv("BATON_BIN_DIR");
  const std::string directory = elsewhere != nullptr ? elsewhere : self.parent_path().string();
  return directory + "/baton-dispatcher";
}

std::optional<std::string> ReadRestAddress(const std::string& ready_file) {
  const auto text = ReadFile(ready_file);
  if (!text.ok()) return std::nullopt;
  const auto ready = nlohmann::json::parse(*text, nullptr, false);
  if (!ready.is_object() || !ready.contains("rest")) return std::nullopt;
  return ready["rest"].get<std::string>();
}

std::string LastLine(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddedProcess>> EmbeddedProcess::Start(const Options& options) {
  std::error_code error;
  fs::create_directories(options.directory, error);
  if (error) return Unavailable("{}: {}", options.directory, error.message());
  std::unique_ptr<EmbeddedProcess> started(new EmbeddedProcess());
  started->directory_ = fs::canonical(options.directory, error).string();
  fs::remove(started->directory_ + "/ready.json", error);
  SpawnSpec spec;
  spec.argv = {DispatcherBinary()};
  const auto set = [&spec](const std::string& assignment) {
    spec.argv.push_back("-D");
    spec.argv.push_back(assignment);
  };
  set("rest.port=0");
  for (const std::string& assignment : options.overrides) set(assignment);
  set("high-availability.type=none");
  set("process.working-dir=" + started->directory_);
  set("ready-file=" + started->directory_ + "/ready.json");
  spec.directory = fs::current_path(error).string();
  spec.log_file = started->log_file();
  spec.env = options.env;
  spec.lifetime = Lifetime::kWithThisProcess;
  auto process = Spawn(spec);
  if (!process.ok()) return process.status();
  started->process_ = *process;
  if (auto status = started->AwaitReady(); !status.ok()) return status;
  return started;
}

absl::Status EmbeddedProcess::AwaitReady() {
  std::optional<std::string> end;
  WaitUntil(
      [&] {
        end = ReapIfEnded(process_);
        if (end) return true;
        const auto address = ReadRestAddress(directory_ + "/ready.json");
        rest_address_ = address.value_or("");
        return address.has_value();
      },
      Clock::now() + kStartLimit);
  if (end) return WhyItEnded(*end);
  if (!rest_address_.empty()) return absl::OkStatus();
  return Unavailable("the dispatcher does not get ready; its log is {}", log_file());
}

absl::Status EmbeddedProcess::WhyItEnded(const std::string& how) const {
  const std::string line = LastLine(ReadFile(log_file()).value_or(""));
  // "time level [process] baton-dispatcher cannot start: …"
  const size_t sentence = line.find("cannot start: ");
  return Unavailable("the dispatcher ended ({}): {}", how,
                     sentence == std::string::npos ? line : line.substr(sentence + 14));
}

bool EmbeddedProcess::HasDied() { return process_.pid > 0 && !IsAlive(process_); }

void EmbeddedProcess::Stop() {
  if (process_.pid <= 0) return;
  (void)SendSignal(process_, SIGTERM);
  const bool ended = WaitUntil([this] { return ReapIfEnded(process_) || !IsAlive(process_); },
                               Clock::now() + kStopLimit);
  if (ended) process_ = {};
  Kill();
}

void EmbeddedProcess::Kill() {
  if (process_.pid <= 0) return;
  (void)SendSignal(process_, SIGKILL);
  WaitUntil([this] { return ReapIfEnded(process_) || !IsAlive(process_); },
            Clock::now() + kKillLimit);
  process_ = {};
}

}  // namespace baton
