// Reads the journals of this replica and of its peers, page by page.

#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "rpc/rpc_link.h"
#include "store/journal_merge.h"
#include "store/record_journal.h"

namespace baton {

struct JournalSources {
  ExecutorPtr executor;  // the callback comes there
  RecordJournalPtr journal;
  std::vector<RpcLinkPtr> peers;
  std::string self;
  Epoch epoch_seen;
};
using JournalsCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<JournalCopy>>)>;

// A peer that does not answer is left out. kFailedPrecondition: one of them leads.
void GatherJournals(JournalSources sources, JournalsCallback callback);

}  // namespace baton
