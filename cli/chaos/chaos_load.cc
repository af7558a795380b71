#include "cli/chaos/chaos_load.h"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <memory>
#include <set>

#include "base/status.h"
#include "cli/chaos/chaos_jobs.h"
#include "cli/chaos/task_witness.h"

namespace baton {
namespace {

// Longer than a failover, shorter than the balancer's patience: a client of its own mind.
constexpr std::chrono::seconds kTimeout(12);
constexpr std::chrono::seconds kPatience(90);
constexpr std::chrono::milliseconds kBackOff(250);
constexpr size_t kLateJobs = 100;  // of some twenty seconds

// What the number-th job is: most are short, one in ten is sent through all replicas at once.
JobKind KindOf(uint64_t number, Random& random) {
  const uint64_t lot = (number + random.Next()) % 100;
  if (lot < 72) return JobKind::kShort;
  if (lot < 82) return JobKind::kGraph;
  if (lot < 90) return JobKind::kTimed;
  if (lot < 97) return JobKind::kCancelled;
  return JobKind::kFailing;
}

bool SentEverywhere(uint64_t number) { return number % 10 == 3; }

absl::StatusOr<std::unique_ptr<HttpSession>> OpenSession(const std::string& url) {
  HttpSession::Options options;
  options.server = url;
  options.timeout = kTimeout;
  options.on_broken = OnBrokenConnection::kFail;
  return HttpSession::Open(options);
}

uint64_t EpochOf(const RestReply& reply) {
  const auto epoch = reply.headers.find("x-baton-epoch");
  return epoch == reply.headers.end() ? 0 : std::strtoull(epoch->second.c_str(), nullptr, 10);
}

}  // namespace

struct ChaosLoad::Client {
  std::unique_ptr<HttpSession> balancer;
};

ChaosLoad::ChaosLoad(Options options) : options_(std::move(options)) {}

ChaosLoad::~ChaosLoad() { Stop(); }

absl::Status ChaosLoad::Start() {
  auto probe = OpenSession(options_.balancer);
  if (!probe.ok()) return probe.status();
  started_ = Clock::now();
  for (int i = 0; i < options_.clients; ++i) threads_.emplace_back([this] { Work(); });
  return absl::OkStatus();
}

void ChaosLoad::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

// Whoever is free takes the next place in the schedule; one that is late is sent at once.
void ChaosLoad::Work() {
  Client client;
  if (auto session = OpenSession(options_.balancer); session.ok()) {
    client.balancer = *std::move(session);
  }
  const auto interval = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(1.0 / options_.jobs_per_second));
  while (client.balancer != nullptr && !stopping_) {
    while (CancelIfDue(client)) {
    }
    const uint64_t number = next_.fetch_add(1);
    const auto due = started_ + interval * static_cast<int64_t>(number);
    while (!stopping_ && Clock::now() < due) {
      RestUntil(std::min(due, Clock::now() + std::chrono::milliseconds(200)));
    }
    if (!stopping_) SubmitOne(client, number);
  }
}

bool ChaosLoad::CancelIfDue(Client& client) {
  std::string job;
  {
    std::lock_guard lock(mutex_);
    if (cancels_.empty() || cancels_.top().due > Clock::now()) return false;
    job = cancels_.top().job;
    cancels_.pop();
  }
  Persist(client, RequestKind::kCancel, job, "", Clock::now() + kPatience);
  return !stopping_;
}

std::string ChaosLoad::Remember(JobKind kind, const PlannedJob& planned, Random& random) {
  // Not of the seed: the same run again must not send the same jobs again.
  const std::string job = NewSystemRandom()->NewJobId().ToString();
  std::lock_guard lock(mutex_);
  jobs_[job] = planned;
  if (kind == JobKind::kCancelled) {
    const auto after = std::chrono::milliseconds(500 + random.Next() % 12'000);
    cancels_.push({Clock::now() + after, job});
  }
  return job;
}

std::string ChaosLoad::SubmitOne(Client& client, uint64_t number) {
  // Of its own for each job: which client sends it, and when, is chance.
  const RandomPtr random = NewSeededRandom(options_.seed * 1'000'003 + number);
  const JobKind kind = KindOf(number, *random);
  const ChaosJob job = MakeChaosJob(kind, options_.trace, *random);
  const std::string id = Remember(kind, job.planned, *random);
  if (SentEverywhere(number)) SubmitEverywhere(id, job.json, number);
  Persist(client, RequestKind::kSubmit, id, job.json, Clock::now() + kPatience);
  return id;
}

// F33: the same id through all replicas at once (and, after it, through the balancer).
void ChaosLoad::SubmitEverywhere(const std::string& job, const std::string& json, uint64_t number) {
  std::vector<std::future<void>> sends;
  size_t left_out = number / 10 % (options_.replicas.size() + 1);  // sometimes nobody
  for (const auto& [name, url] : options_.replicas) {
    if (left_out-- == 0) continue;
    sends.push_back(std::async(std::launch::async, [this, &job, &json, name = name, url = url] {
      if (auto session = OpenSession(url); session.ok()) {
        Exchange(**session, name, RequestKind::kSubmit, job, json);
      }
    }));
  }
  for (std::future<void>& send : sends) send.get();
}

bool ChaosLoad::Persist(Client& client, RequestKind kind, const std::string& job,
                        const std::string& json, Clock::time_point deadline) {
  while (true) {
    const int status = Exchange(*client.balancer, "balancer", kind, job, json);
    if (status >= 200 && status < 300) return true;
    // A cancellation may come before its job: its submission is still under way.
    const bool again = status == 0 || status == 429 || status >= 500 ||
                       (kind == RequestKind::kCancel && status == 404);
    if (!again || Clock::now() >= deadline || (stopping_ && status == 404)) return false;
    RestUntil(Clock::now() + kBackOff);
  }
}

int ChaosLoad::Exchange(HttpSession& session, const std::string& to, RequestKind kind,
                        const std::string& job, const std::string& json) {
  ClientRequest request{kind, job, to, WallNs()};
  const auto reply = kind == RequestKind::kSubmit
                         ? session.Send("PUT", "/v1/jobs/" + job, json)
                         : session.Send("PATCH", "/v1/jobs/" + job + "?mode=cancel");
  request.answered_ns = WallNs();
  if (reply.ok()) {
    request.status = reply->status;
    request.epoch = EpochOf(*reply);
  }
  std::lock_guard lock(mutex_);
  requests_.push_back(request);
  if (kind == RequestKind::kSubmit && request.Acknowledged()) acknowledged_.push_back(job);
  return request.status;
}

std::string ChaosLoad::SubmitNow(JobKind kind, Clock::time_point deadline, bool* acknowledged) {
  const RandomPtr random = NewSystemRandom();
  const ChaosJob job = MakeChaosJob(kind, options_.trace, *random);
  const std::string id = random->NewJobId().ToString();
  {
    std::lock_guard lock(mutex_);
    jobs_[id] = job.planned;
  }
  Client client;
  auto session = OpenSession(options_.balancer);
  if (session.ok()) client.balancer = *std::move(session);
  *acknowledged =
      client.balancer != nullptr && Persist(client, RequestKind::kSubmit, id, job.json, deadline);
  return id;
}

bool ChaosLoad::CancelNow(const std::string& job, Clock::time_point deadline) {
  Client client;
  auto session = OpenSession(options_.balancer);
  if (!session.ok()) return false;
  client.balancer = *std::move(session);
  return Persist(client, RequestKind::kCancel, job, "", deadline);
}

std::map<std::string, size_t> ChaosLoad::ShortJobs(int64_t from_ns, int64_t before_ns) const {
  std::lock_guard lock(mutex_);
  std::map<std::string, size_t> open;
  for (auto it = requests_.rbegin(); it != requests_.rend(); ++it) {
    if (it->answered_ns < from_ns) break;  // in the order of the answers, but for a moment
    if (it->kind != RequestKind::kSubmit || !it->Acknowledged() || it->answered_ns > before_ns) {
      continue;
    }
    const PlannedJob& job = jobs_.at(it->job);
    if (job.kind == JobKind::kShort) open[it->job] = job.vertices.size();
  }
  return open;
}

std::map<std::string, PlannedJob> ChaosLoad::Jobs() const {
  std::lock_guard lock(mutex_);
  return jobs_;
}

std::string ChaosLoad::SomeJob(uint64_t lot) const {
  std::lock_guard lock(mutex_);
  if (acknowledged_.empty()) return "";
  const size_t among =
      lot % 2 == 0 ? std::min(kLateJobs, acknowledged_.size()) : acknowledged_.size();
  return acknowledged_[acknowledged_.size() - 1 - lot / 2 % among];
}

std::vector<ClientRequest> ChaosLoad::Requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

size_t ChaosLoad::acknowledged() const {
  std::lock_guard lock(mutex_);
  std::set<std::string> jobs;
  for (const ClientRequest& request : requests_) {
    if (request.kind == RequestKind::kSubmit && request.Acknowledged()) jobs.insert(request.job);
  }
  return jobs.size();
}

double ChaosLoad::LongestGapMs(int64_t from_ns, int64_t until_ns) const {
  std::vector<int64_t> answers;
  {
    std::lock_guard lock(mutex_);
    for (const ClientRequest& request : requests_) {
      if (request.kind == RequestKind::kSubmit && request.Acknowledged() &&
          request.to == "balancer" && request.answered_ns <= until_ns) {
        answers.push_back(request.answered_ns);
      }
    }
  }
  std::sort(answers.begin(), answers.end());
  answers.push_back(until_ns);
  int64_t longest = 0;
  for (size_t i = 1; i < answers.size(); ++i) {
    if (answers[i] > from_ns) longest = std::max(longest, answers[i] - answers[i - 1]);
  }
  return static_cast<double>(longest) / 1e6;
}

}  // namespace baton
