#include "cli/drill/load_generator.h"

#include <utility>

#include "base/status.h"
#include "rest/client/rest_client.h"

namespace baton {

LoadGenerator::LoadGenerator(Options options, SubmissionLog* log)
    : options_(std::move(options)), log_(log) {}

LoadGenerator::~LoadGenerator() { Stop(); }

absl::Status LoadGenerator::Start() {
  started_ = Clock::now();
  for (int i = 0; i < options_.connections; ++i) {
    HttpSession::Options http;
    http.server = options_.server;
    http.timeout = std::chrono::seconds(60);
    http.on_broken = OnBrokenConnection::kFail;
    auto session = HttpSession::Open(http);
    if (!session.ok()) return session.status();
    threads_.emplace_back([this, s = *std::move(session)] { Work(*s); });
  }
  return absl::OkStatus();
}

void LoadGenerator::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

// Whoever is free takes the next place in the schedule; one that is late is sent at once.
void LoadGenerator::Work(HttpSession& session) {
  const auto interval = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(1.0 / options_.jobs_per_second));
  while (!stopping_) {
    RestUntil(started_ + interval * next_.fetch_add(1));
    if (!stopping_) log_->Add(SubmitOne(session));
  }
}

Submission LoadGenerator::SubmitOne(HttpSession& session) {
  Submission submission;
  submission.id = random_->NewJobId().ToString();
  submission.sent = Clock::now();
  const auto reply = session.Send("PUT", "/v1/jobs/" + submission.id, options_.job_json);
  submission.answered = Clock::now();
  submission.acknowledged = reply.ok() && reply->ok();
  if (submission.acknowledged) {
    submission.replica = reply->replica;
  } else {
    submission.error = reply.ok() ? fmt::format("{}: {}", reply->status, Message(ToStatus(*reply)))
                                  : Message(reply.status());
  }
  return submission;
}

}  // namespace baton
