#include "cli/command.h"

#include <cstdio>
#include <utility>

#include "base/status.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

// What helps with an error that does not say so itself; local errors carry their own advice.
const char* Advice(const std::string& text, int exit_code) {
  const bool says_itself = text.find(" (") != std::string::npos;
  if (exit_code == kExitUnreachable && !says_itself) {
    return " (try again in a moment, or name another replica with --server)";
  }
  if (exit_code == kExitNotFound && text.starts_with("Job ")) {
    return " (`baton list` shows the jobs there are)";
  }
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<RestClient>> CommandContext::Connect() const {
  return RestClient::Open(server);
}

void CommandContext::Fail(const absl::Status& status) {
  exit_code = ExitCodeOf(status);
  const std::string text = Message(status);
  std::fprintf(stderr, "baton: %s%s\n", text.c_str(), Advice(text, exit_code));
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnknown:
      return kExitUnreachable;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
      return kExitRefused;
    default:
      return kExitFailed;
  }
}

void Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!text.ends_with('\n')) std::fputc('\n', stdout);
  std::fflush(stdout);
}

void WaitForJob(CommandContext& context, RestClient& client, const std::string& id,
                const std::string& wanted, std::chrono::seconds deadline) {
  absl::StatusOr<Answer<JobView>> job = Unknown("not asked yet");
  auto unanswered_since = Clock::now();
  const bool settled = WaitUntil(
      [&] {
        job = client.GetJob(id);
        if (job.ok()) unanswered_since = Clock::now();
        if (job.ok()) return job->value.Ended();
        // A failover is no reason to give up; a minute without an answer is.
        return !absl::IsUnavailable(job.status()) ||
               Clock::now() - unanswered_since > std::chrono::minutes(1);
      },
      Clock::now() + deadline, std::chrono::milliseconds(100));
  if (!job.ok()) return context.Fail(job.status());
  if (!settled) return context.Fail(DeadlineExceeded("job {} is still {}", id, job->value.state));
  Print(context.json() ? job->json : fmt::format("{} {}", id, job->value.state));
  if (job->value.state == wanted) return;
  context.exit_code = job->value.state == "CANCELED" ? kExitCancelled : kExitFailed;
}

}  // namespace baton
