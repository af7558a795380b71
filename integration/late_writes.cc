#include "integration/late_writes.h"

#include <utility>

#include "integration/task_traces.h"

namespace baton::integration {
namespace {

constexpr int kSubmissions = 4;

}  // namespace

LateWrites::LateWrites(const std::string& address, std::string victim)
    : victim_(std::move(victim)) {
  const auto send = [&](std::string bytes) {
    return std::async(std::launch::async,
                      [address, bytes = std::move(bytes)] { return Exchange(address, bytes); });
  };
  cancellation_ = send(RequestBytes("PATCH", "/v1/jobs/" + victim_ + "?mode=cancel", ""));
  for (int i = 0; i < kSubmissions; ++i) {
    const std::string job = NewJobId();
    submissions_.emplace_back(job, send(RequestBytes("PUT", "/v1/jobs/" + job, QuickJob())));
  }
}

std::vector<LateWrites::Submission> LateWrites::submissions() {
  std::vector<Submission> all;
  for (auto& [job, reply] : submissions_) all.push_back({job, reply.get()});
  return all;
}

}  // namespace baton::integration
