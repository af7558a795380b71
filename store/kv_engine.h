// A durable map from (column family, key) to bytes: the seam below the BlobStore, and in a later
// life below journals. RocksDbKvEngine is the real one; FakeKvEngine (tests) loses un-synced
// writes, fills up, flips bits.
//
// Threading: any thread may call; nothing but Stop blocks the caller. Callbacks come on a thread of
// the engine's: bind them. Before Stop the last reference must not go on such a thread: the
// destructor waits for what is under way.
//
// Errors: kResourceExhausted (disk full, or too much waits), kDataLoss (corruption),
// kInvalidArgument (no such family), kInternal (EIO and the rest), kUnavailable (it was stopped).

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rocksdb {
class Env;
}

namespace baton {

struct KvWrite {
  std::string family;
  std::string key;
  std::optional<std::string> value;  // none: delete
};

struct KvEntry {
  std::string key;
  std::string value;
};

class KvEngine {
 public:
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;
  using GetCallback = absl::AnyInvocable<void(absl::StatusOr<std::optional<std::string>>)>;
  using KeysCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>>)>;
  using ScanCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<KvEntry>>)>;

  virtual ~KvEngine() = default;

  // All writes or none; OK means synced to disk. Batches that wait together share one sync.
  virtual void Write(std::vector<KvWrite> writes, StatusCallback callback) = 0;
  virtual void Get(std::string family, std::string key, GetCallback callback) = 0;
  // Every key of a family that starts with `prefix`, sorted.
  virtual void Keys(std::string family, std::string prefix, KeysCallback callback) = 0;
  // The first `limit` entries whose key is greater than `after`, sorted: a page of the family.
  virtual void Scan(std::string family, std::string after, size_t limit, ScanCallback callback) = 0;

  // Answers what is under way and joins its threads; what comes later is refused, with a callback
  // on the caller's thread. Not from a callback. A process that ends calls it before what its
  // callbacks are bound to goes. Idempotent.
  virtual void Stop() = 0;
};
using KvEnginePtr = std::shared_ptr<KvEngine>;

// What becomes of a store whose log lacks the end of what was acknowledged (acknowledged_mark.h).
enum class WhenCutShort {
  kRefuse,  // kDataLoss: there is nowhere to get it from
  kGoOn,    // an error in the log; what is missing comes from other replicas
};

// Opens (or makes) a RocksDB database in `directory` with the given column families; blocks. Large
// values go to RocksDB's blob files. `env`: what it stands on; null: the operating system.
//
// A full disk refuses writes until there is room, and no longer. kDataLoss: it cannot be opened for
// damage.
absl::StatusOr<KvEnginePtr> OpenRocksDbKvEngine(
    const std::string& directory, const std::vector<std::string>& families,
    rocksdb::Env* env = nullptr, WhenCutShort when_cut_short = WhenCutShort::kRefuse);

}  // namespace baton
