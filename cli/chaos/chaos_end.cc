// The end of a run of chaos: the load stops, what does not end by itself is cancelled, and what
// everybody saw is gathered.

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "base/status.h"
#include "cli/chaos/chaos.h"
#include "cli/chaos/chaos_jobs.h"
#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kQuiet(90);

bool Ended(const std::string& state) {
  return state == "FINISHED" || state == "FAILED" || state == "CANCELED";
}

int64_t Metric(const std::string& text, const std::string& name) {
  const size_t found = text.find("\n" + name + " ");
  if (found == std::string::npos) return -1;
  return std::strtoll(text.c_str() + found + name.size() + 2, nullptr, 10);
}

}  // namespace

absl::Status Chaos::Finish() {
  load_->Stop();
  CancelWhatDoesNotEnd();
  absl::Status status;
  const auto quiet = [&] {
    status = ReadStates();
    return status.ok() && std::all_of(history_.states.begin(), history_.states.end(),
                                      [](const auto& job) { return Ended(job.second); });
  };
  WaitUntil(quiet, Clock::now() + kQuiet, milliseconds(500));
  if (!status.ok()) return At("the jobs cannot be listed at the end", status);
  WaitUntil(
      [this] {
        ReadSlotsAndBlobs();
        return JudgeSlots(history_).holds() && JudgeBlobs(history_).holds();
      },
      Clock::now() + kQuiet, milliseconds(500));
  job_watch_->Stop();
  watch_->Stop();
  witness_->Stop();
  return absl::OkStatus();
}

absl::Status Chaos::ReadStates() {
  auto client = RestClient::Open(cluster_->balancer_url());
  if (!client.ok()) return client.status();
  auto jobs = (*client)->ListJobs();
  if (!jobs.ok()) return jobs.status();
  history_.states.clear();
  for (const JobRow& job : jobs->value) history_.states[job.id] = job.state;
  return absl::OkStatus();
}

// Long jobs; and those whose client gave up before its cancellation was acknowledged.
void Chaos::CancelWhatDoesNotEnd() {
  (void)ReadStates();
  const auto jobs = load_->Jobs();
  for (const auto& [id, state] : history_.states) {
    const auto job = jobs.find(id);
    if (job == jobs.end() || Ended(state)) continue;
    if (job->second.kind != JobKind::kLong && job->second.kind != JobKind::kCancelled) continue;
    load_->CancelNow(id, Clock::now() + seconds(30));
  }
}

void Chaos::ReadSlotsAndBlobs() {
  if (auto client = RestClient::Open(cluster_->balancer_url()); client.ok()) {
    if (auto overview = (*client)->Overview(); overview.ok()) {
      history_.slots_total = overview->value.slots_total;
      history_.slots_free = overview->value.slots_available;
    }
  }
  for (const std::string& replica : injector_->Names(NodeKind::kReplica)) {
    auto client = ProbeClient(cluster_->RestUrl(replica));
    if (!client.ok()) continue;
    const auto metrics = (*client)->Get("/metrics");
    history_.missing_blobs[replica] =
        metrics.ok() ? Metric(metrics->body, "baton_store_missing_blobs") : -1;
  }
}

void Chaos::Fill(ChaosReport* report) {
  history_.jobs = load_->Jobs();
  history_.requests = load_->Requests();
  history_.runs = witness_->Runs();
  history_.sightings = watch_->Sightings();
  history_.job_sightings = job_watch_->Sightings();
  report->rounds = history_.rounds;
  report->jobs = history_.jobs.size();
  report->acknowledged = load_->acknowledged();
  report->requests = history_.requests.size();
  report->unanswered = static_cast<uint64_t>(
      std::count_if(history_.requests.begin(), history_.requests.end(),
                    [](const ClientRequest& request) { return !request.Acknowledged(); }));
  report->runs = history_.runs.size();
  report->unseen = witness_->unseen();
  report->malformed = witness_->malformed();
  report->epochs = watch_->NewestEpoch();
  report->verdicts = JudgeChaos(history_, ChaosLimits());
}

// What the clients and the injector saw, beside what the tasks wrote: for whoever looks for the
// cause of a violation.
absl::Status Chaos::KeepHistory() const {
  std::ofstream file(options_.directory + "/chaos-clients");
  for (const ClientRequest& request : history_.requests) {
    file << (request.kind == RequestKind::kSubmit ? "submit " : "cancel ") << request.job << ' '
         << request.to << ' ' << request.sent_ns << ' ' << request.answered_ns << ' '
         << request.status << ' ' << request.epoch << '\n';
  }
  for (const auto& [id, job] : history_.jobs) {
    const auto state = history_.states.find(id);
    file << "job " << id << ' ' << NameOf(job.kind) << ' '
         << (state == history_.states.end() ? "-" : state->second) << '\n';
  }
  for (const WorkerHarm& harm : history_.harms) {
    file << "harm " << harm.worker << ' ' << harm.from_ns << ' ' << harm.until_ns << '\n';
  }
  for (const EpochSighting& sighting : history_.sightings) {
    file << "epoch " << sighting.epoch << ' ' << sighting.leader << ' ' << sighting.asked << ' '
         << sighting.at_ns << '\n';
  }
  for (const JobSighting& sighting : history_.job_sightings) {
    file << "state " << sighting.job << ' ' << sighting.state << ' ' << sighting.asked << ' '
         << sighting.sent_ns << ' ' << sighting.answered_ns << '\n';
  }
  for (const ChaosRound& round : history_.rounds) {
    file << "round " << round.number << ' ' << round.from_ns << ' ' << round.healed_ns << ' '
         << round.until_ns;
    for (const std::string& fault : round.faults) file << " | " << fault;
    file << '\n';
  }
  file.flush();
  if (file) return absl::OkStatus();
  return Internal("cannot write {}/chaos-clients", options_.directory);
}

bool ChaosReport::Passed() const {
  return complete && malformed == 0 &&
         std::all_of(verdicts.begin(), verdicts.end(), [](const auto& v) { return v.holds(); });
}

}  // namespace baton
