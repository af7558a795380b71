// baton logs ID [--vertex V] [--subtask N] [--attempt N] [--stderr] [--follow]

#include <cstdio>
#include <memory>
#include <optional>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/command.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

struct LogsOptions {
  std::string job;
  std::string vertex;
  uint32_t subtask = 0;
  std::optional<uint32_t> attempt;
  bool error_stream = false;
  bool follow = false;
};

// The only vertex, if the user named none.
absl::StatusOr<std::string> ChooseVertex(RestClient& client, const LogsOptions& options) {
  if (!options.vertex.empty()) return options.vertex;
  auto job = client.GetJob(options.job);
  if (!job.ok()) return job.status();
  if (job->value.vertices.size() == 1) return job->value.vertices[0].id;
  std::string names;
  for (const VertexRow& vertex : job->value.vertices) names += " " + vertex.id;
  return InvalidArgument("the job has several vertices; name one with --vertex:{}", names);
}

absl::StatusOr<LogRequest> MakeRequest(RestClient& client, const LogsOptions& options) {
  auto vertex = ChooseVertex(client, options);
  if (!vertex.ok()) return vertex.status();
  LogRequest request;
  request.job = options.job;
  request.vertex = *vertex;
  request.subtask = options.subtask;
  request.stream = options.error_stream ? "stderr" : "stdout";
  request.follow = options.follow;
  if (options.attempt) {
    request.attempt = *options.attempt;
    return request;
  }
  auto current = client.CurrentAttempt(options.job, *vertex, options.subtask);
  if (!current.ok()) return current.status();
  request.attempt = *current;
  return request;
}

// Goes on through failovers: the log is at the TaskManager, the offset is ours.
absl::Status CopyLog(RestClient& client, LogRequest request) {
  auto answered = Clock::now();
  while (true) {
    auto piece = client.Logs(request);
    if (!piece.ok()) {
      const bool patient = request.follow && absl::IsUnavailable(piece.status()) &&
                           Clock::now() - answered < std::chrono::minutes(1);
      if (!patient) return piece.status();
      RestUntil(Clock::now() + std::chrono::milliseconds(200));
      continue;
    }
    answered = Clock::now();
    std::fwrite(piece->text.data(), 1, piece->text.size(), stdout);
    std::fflush(stdout);
    request.offset += piece->text.size();
    const bool complete = request.offset >= piece->size;
    if (complete && (piece->ended || !request.follow)) return absl::OkStatus();
    // A server that does not hold the request is asked at a bounded pace.
    if (piece->text.empty()) RestUntil(answered + std::chrono::milliseconds(200));
    if (piece->text.empty() && !request.follow) return absl::OkStatus();
  }
}

void RunLogs(CommandContext& context, const LogsOptions& options) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto request = MakeRequest(**client, options);
  if (!request.ok()) return context.Fail(request.status());
  context.Finish(CopyLog(**client, *std::move(request)));
}

}  // namespace

void AddLogsCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* command = app.add_subcommand("logs", "Print what a task wrote");
  command->add_option("ID", options->job, "The job's id")->required();
  command->add_option("--vertex", options->vertex, "Its id (default: the job's only one)");
  command->add_option("--subtask", options->subtask, "Counted from 0")->capture_default_str();
  command->add_option("--attempt", options->attempt, "Counted from 0 (default: the current one)");
  command->add_flag("--stderr", options->error_stream, "stderr instead of stdout");
  command->add_flag("--follow", options->follow, "Go on until the task ends");
  command->callback([&context, options] { RunLogs(context, *options); });
}

}  // namespace baton
