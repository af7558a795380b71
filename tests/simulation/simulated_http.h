// HTTP between the processes of a simulated cluster, and from its clients: requests reach the
// replica that serves the address after the latency, and break when it dies on the way.
//
// A process that is not there refuses (kUnavailable: no effect). One that dies with a request in
// hand leaves its outcome open (kUnknown). A paused one, and one behind a cut, says nothing until
// the timeout. A request may arrive twice: a balancer repeats it when its first connection breaks.
//
// Single-threaded, as the simulation is.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "base/status.h"
#include "rest/http.h"
#include "tests/rpc/fake_frame_transport.h"

namespace baton {

class SimulatedHttp final : public std::enable_shared_from_this<SimulatedHttp> {
 public:
  SimulatedHttp(SimulatedNetworkPtr network, RandomPtr random)
      : network_(std::move(network)), random_(std::move(random)) {}

  // What `process` sends through.
  HttpTransportPtr ForProcess(const std::string& process) {
    return std::make_shared<Transport>(shared_from_this(), process);
  }

  // `handler` outlives the simulation's run, dead or alive.
  void Serve(const std::string& address, std::string process, ExecutorPtr executor,
             RequestHandler* handler) {
    servers_[address] = {std::move(process), std::move(executor), handler};
  }

  void Kill(const std::string& process) {
    std::erase_if(servers_, [&](const auto& entry) { return entry.second.process == process; });
    std::vector<uint64_t> broken;
    for (const auto& [id, exchange] : exchanges_) {
      if (exchange.server == process) broken.push_back(id);
    }
    for (const uint64_t id : broken) Finish(id, Unknown("{} died", process));
  }

  // So many of a hundred requests arrive twice from now on.
  void SetDuplicates(uint64_t percent) { duplicate_percent_ = percent; }
  // Each way takes up to so much longer from now on.
  void SetJitter(Duration jitter) { jitter_ = jitter; }

 private:
  static constexpr Duration kLatency = std::chrono::microseconds(200);

  struct Server {
    std::string process;
    ExecutorPtr executor;
    RequestHandler* handler = nullptr;
  };
  struct Exchange {
    std::string client;
    std::string server;
    ExecutorPtr executor;  // the client's
    TimerId timer = kNoTimer;
    HttpTransport::Callback callback;
  };

  class Transport final : public HttpTransport {
   public:
    Transport(std::shared_ptr<SimulatedHttp> http, std::string process)
        : http_(std::move(http)), process_(std::move(process)) {}
    void Send(const std::string& address, HttpRequest request, Duration timeout,
              ExecutorPtr executor, Callback callback) override {
      http_->Send(process_, address, std::move(request), timeout, std::move(executor),
                  std::move(callback));
    }

   private:
    const std::shared_ptr<SimulatedHttp> http_;
    const std::string process_;
  };

  Duration Latency() {
    return kLatency + (jitter_ > Duration::zero() ? random_->Below(jitter_) : Duration::zero());
  }

  void Send(const std::string& client, const std::string& address, HttpRequest request,
            Duration timeout, ExecutorPtr executor, HttpTransport::Callback callback) {
    const auto server = servers_.find(address);
    if (server == servers_.end()) {
      executor->PostAfter(2 * kLatency, [address, callback = std::move(callback)]() mutable {
        callback(Unavailable("{} refused the connection", address));
      });
      return;
    }
    const uint64_t id = ++last_id_;
    const TimerId timer = executor->PostAfter(
        timeout, IfAlive(weak_from_this(), [id, address](SimulatedHttp& self) {
          self.Finish(id, DeadlineExceeded("no answer from {} in time", address));
        }));
    exchanges_[id] = {client, server->second.process, std::move(executor), timer,
                      std::move(callback)};
    if (network_->IsCut(client, server->second.process)) return;  // lost
    Deliver(id, server->second, request);
    // No balancer repeats what carries no id.
    const bool may_repeat = request.method != "POST" || request.target != "/v1/jobs";
    if (may_repeat && random_->Next() % 100 < duplicate_percent_) {
      Deliver(id, server->second, request);
    }
  }

  // The first answer counts.
  void Deliver(uint64_t id, const Server& server, const HttpRequest& request) {
    auto weak = weak_from_this();
    server.executor->PostAfter(
        Latency(), [weak, id, handler = server.handler, request = request]() mutable {
          handler->Handle(std::move(request),
                          IfAlive(weak, [id](SimulatedHttp& self, HttpResponse response) {
                            self.Answer(id, std::move(response));
                          }));
        });
  }

  void Answer(uint64_t id, HttpResponse response) {
    const auto exchange = exchanges_.find(id);
    if (exchange == exchanges_.end()) return;
    if (network_->IsCut(exchange->second.server, exchange->second.client)) return;  // lost
    Finish(id, std::move(response));
  }

  void Finish(uint64_t id, absl::StatusOr<HttpResponse> answer) {
    auto exchange = exchanges_.extract(id);
    if (exchange.empty()) return;  // late
    auto& its = exchange.mapped();
    its.executor->Cancel(its.timer);
    its.executor->PostAfter(
        Latency(), [callback = std::move(its.callback), answer = std::move(answer)]() mutable {
          callback(std::move(answer));
        });
  }

  const SimulatedNetworkPtr network_;
  const RandomPtr random_;
  std::map<std::string, Server> servers_;  // by address
  std::map<uint64_t, Exchange> exchanges_;
  uint64_t last_id_ = 0;
  uint64_t duplicate_percent_ = 0;
  Duration jitter_ = Duration::zero();
};

}  // namespace baton
