// The threads on which ZooKeeper handles are made (it may wait for DNS) and closed (it joins the
// handle's threads): one each for the whole process, started when first needed.

#pragma once

#include "base/executor.h"

namespace baton::zookeeper {

// Tasks run one after the other. At exit, what was given to the closing thread is waited for, at
// most 5 s, so that the ephemeral nodes of a process that ends in good order go at once.
void RunOnOpeningThread(Task task);
void RunOnClosingThread(Task task);

}  // namespace baton::zookeeper
