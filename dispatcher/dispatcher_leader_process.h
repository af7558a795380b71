// Everything that exists only while this replica leads one epoch: stores under the fence,
// ResourceManager, Dispatcher, JobMasters and their timers (Flink's DispatcherLeaderProcess).
//
// Created on grant, stopped on revoke, never reused: a message for an old process finds nothing,
// and what an old process still has in flight is refused by the fence (P3).
//
// Threading: any thread may call; the work is done on the executor given, a strand of its own.
// After Stop nothing of it runs any more but what was running; questions are answered with
// kAborted.

#pragma once

#include <memory>

#include "base/executor.h"
#include "base/random.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/membership.h"
#include "dispatcher/options.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "ha/leader_election.h"
#include "rpc/dispatcher_gateway.h"
#include "rpc/rpc_link.h"
#include "store/blob_collector.h"
#include "store/blob_store.h"

namespace baton {

class DispatcherLeaderProcess : public std::enable_shared_from_this<DispatcherLeaderProcess> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    FrameTransportPtr transport;
    RandomPtr random;
    LeaderFencePtr fence;
    pb::LeaderRecord record;
    BlobStorePtr blobs;
    BlobPlaces blob_places;
    LastLeaseAnswer last_lease_answer;
    DispatcherOptions options;
  };

  // `leading_since` is now: call it when the grant is learned.
  explicit DispatcherLeaderProcess(Dependencies dependencies);

  void Start();
  void Stop();

  // The strand on which it leads.
  const ExecutorPtr& executor() const { return deps_.executor; }

  // What REST talks to; usable (and answering) for ever.
  DispatcherGatewayPtr gateway();

  // RegisterTaskManager, Heartbeat and TaskReports.
  void OnTaskManagerMessage(const RpcLinkPtr& link, pb::Envelope message);
  void OnLinkClosed(const RpcLinkPtr& link);
  void OnView(const LeadershipView& view);

 private:
  class Gateway;

  void Build();
  void BuildStores(Dispatcher::Dependencies* dispatcher);

  const Dependencies deps_;
  const TimePoint leading_since_;
  // On the executor; all null before Start has run and after Stop. In this order they die last to
  // first: the Dispatcher's jobs use the ResourceManager.
  std::shared_ptr<ResourceManager> resource_manager_;
  std::shared_ptr<Membership> membership_;
  std::shared_ptr<Dispatcher> dispatcher_;
  std::shared_ptr<BlobCollector> collector_;
};

}  // namespace baton
