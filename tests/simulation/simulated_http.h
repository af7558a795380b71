// HTTP between the processes of a simulated cluster, and from its clients: requests reach the
// replica that serves the address after the latency, and break when it dies on the way.
//
// A process that is not there refuses (kUnavailable: no effect). One that dies with a request in
// hand leaves its outcome open (kUnknown). A paused one says nothing until the timeout.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/status.h"
#include "rest/http.h"

namespace baton {

class SimulatedHttp final : public HttpTransport,
                            public std::enable_shared_from_this<SimulatedHttp> {
 public:
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

  void Send(const std::string& address, HttpRequest request, Duration timeout, ExecutorPtr executor,
            Callback callback) override {
    auto server = servers_.find(address);
    if (server == servers_.end()) {
      executor->PostAfter(2 * kLatency, [address, callback = std::move(callback)]() mutable {
        callback(Unavailable("{} refused the connection", address));
      });
      return;
    }
    const uint64_t id = ++last_id_;
    auto weak = weak_from_this();
    server->second.executor->PostAfter(
        kLatency, [weak, id, handler = server->second.handler, request]() mutable {
          handler->Handle(std::move(request),
                          IfAlive(weak, [id](SimulatedHttp& self, HttpResponse response) {
                            self.Finish(id, std::move(response));
                          }));
        });
    const TimerId timer = executor->PostAfter(
        timeout, IfAlive(weak, [id, address](SimulatedHttp& self) {
          self.Finish(id, DeadlineExceeded("no answer from {} in time", address));
        }));
    exchanges_[id] = {server->second.process, std::move(executor), timer, std::move(callback)};
  }

 private:
  static constexpr Duration kLatency = std::chrono::microseconds(200);

  struct Server {
    std::string process;
    ExecutorPtr executor;
    RequestHandler* handler = nullptr;
  };
  struct Exchange {
    std::string server;
    ExecutorPtr client;
    TimerId timer = kNoTimer;
    Callback callback;
  };

  void Finish(uint64_t id, absl::StatusOr<HttpResponse> answer) {
    auto exchange = exchanges_.extract(id);
    if (exchange.empty()) return;  // late
    auto& [server, client, timer, callback] = exchange.mapped();
    client->Cancel(timer);
    client->PostAfter(kLatency,
                      [callback = std::move(callback), answer = std::move(answer)]() mutable {
                        callback(std::move(answer));
                      });
  }

  std::map<std::string, Server> servers_;  // by address
  std::map<uint64_t, Exchange> exchanges_;
  uint64_t last_id_ = 0;
};

}  // namespace baton
