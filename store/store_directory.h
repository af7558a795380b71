// Opens a replica's store, and says what becomes of one that is damaged.
//
// Every job is on other replicas too, and convergence fills an empty disk. So a store that RocksDB
// refuses to open for damage is set aside, not deleted (`<directory>.damaged-1`), and a new one
// begins in its place: no step by hand. Three of them are kept; with a fourth something else is
// wrong than a bit, and somebody must look: the replica does not start.
//
// It is read once before it serves: of one that opens, but cannot be listed, nobody could say what
// it lacks, and so convergence could not fill it.
//
// Only where there are other replicas. Without them the damaged store is all there is: what cannot
// be read stays, and a store that lacks what was acknowledged is not opened (kDataLoss; the message
// says what to do).

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "store/kv_engine.h"

namespace baton {

enum class WhenDamaged { kSetAside, kRefuse };

// What an operator can do about the damaged store of a replica that has no others.
std::string AdviceForLoneStore(const std::string& directory);

// Blocks. Makes the directory if it is missing.
absl::StatusOr<KvEnginePtr> OpenStoreDirectory(const std::string& directory,
                                               const std::vector<std::string>& families,
                                               WhenDamaged when_damaged);

}  // namespace baton
