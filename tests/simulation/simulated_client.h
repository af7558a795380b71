// A user of a simulated cluster: talks HTTP to any replica and goes on at another one when that
// does not answer or says "later", as a client behind a balancer does.
//
// Lives on the cluster's client executor; the methods are called between runs of the cluster.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "tests/simulation/simulated_cluster.h"

namespace baton {

class SimulatedClient : public std::enable_shared_from_this<SimulatedClient> {
 public:
  explicit SimulatedClient(SimulatedCluster* cluster) : cluster_(cluster) {}

  using Answered = std::function<void(const HttpResponse&)>;

  // Tries until it is answered with something else than "later". The recorder learns of 2xx.
  // Whoever does not look at the answers (Submit, Cancel) has unexpected ones judged (P8).
  void Submit(const SimulatedJob& job, size_t replica, Answered answered = nullptr);
  // Tries once, and does not wait for what comes of it.
  void SubmitOnce(const SimulatedJob& job, size_t replica);
  // The same; whoever answers chooses the id. The recorder knows the job by its name.
  void Post(SimulatedJob job, size_t replica);
  void Cancel(const JobId& job, size_t replica, Answered answered = nullptr);
  void Transfer(size_t replica) { Order("POST", "/v1/leader/transfer", replica); }
  // What an operator says, until it is answered.
  void Order(const std::string& method, const std::string& target, size_t replica);

  // One try: whatever comes, also nothing (std::nullopt).
  std::optional<HttpResponse> Ask(size_t replica, const std::string& method,
                                  const std::string& target, const std::string& body = "",
                                  Duration limit = std::chrono::seconds(60));
  // "RUNNING"; empty: no answer.
  std::string StateOf(const JobId& job, size_t replica);

  size_t waiting() const { return waiting_; }
  bool AwaitAnswers(Duration limit = std::chrono::minutes(3)) {
    return cluster_->RunUntil([this] { return waiting_ == 0; }, limit);
  }
  // How often each status was answered.
  const std::map<int, size_t>& statuses() const { return statuses_; }

 private:
  struct Errand {
    HttpRequest request;
    size_t replica = 0;
    Answered answered;
    std::set<int> expected;  // beside "later"; empty: anything
  };
  void Try(std::shared_ptr<Errand> errand);
  void CheckExpected(const Errand& errand, const HttpResponse& response);

  SimulatedCluster* const cluster_;
  size_t waiting_ = 0;
  std::map<int, size_t> statuses_;
};

}  // namespace baton
