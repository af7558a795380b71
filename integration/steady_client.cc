#include "integration/steady_client.h"

#include <chrono>
#include <utility>

#include "fmt/core.h"
#include "integration/http_exchange.h"
#include "integration/task_traces.h"
#include "rest/client/wait.h"

namespace baton::integration {
namespace {

constexpr std::chrono::milliseconds kPace(50);

}  // namespace

SteadyClient::SteadyClient(std::string balancer)
    : balancer_(std::move(balancer)), thread_([this] { Run(); }) {}

void SteadyClient::Stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void SteadyClient::Run() {
  while (!stopping_) {
    const auto next = Clock::now() + kPace;
    const std::string job = NewJobId();
    const auto reply = Exchange(balancer_, RequestBytes("PUT", "/v1/jobs/" + job, QuickJob()));
    if (reply.ok() && reply->status / 100 == 2) {
      acknowledged_.push_back(job);
      ++count_;
    } else if (reply.ok() && reply->status == 503 && !reply->Header("Retry-After").empty()) {
      ++told_to_wait_;
    } else {
      errors_.push_back(reply.ok() ? fmt::format("{}: {}", reply->status, reply->body)
                                   : reply.status().ToString());
    }
    RestUntil(next);
  }
}

}  // namespace baton::integration
