// A RocksDB database as the engine uses it: blocking calls, our errors, and what revives it after
// an error: a full disk that has room again, an I/O error after which RocksDB itself gives up.
//
// Threading: Write from one thread; the reads from any. Owned by the engine.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "store/kv_engine.h"

namespace baton {

class RocksDbDatabase {
 public:
  // Opens or makes it, with these families and those that it has already.
  static absl::StatusOr<std::unique_ptr<RocksDbDatabase>> Open(
      const std::string& directory, const std::vector<std::string>& families, rocksdb::Env* env,
      WhenCutShort when_cut_short);

  virtual ~RocksDbDatabase() = default;

  // kResourceExhausted: so little room is left that these must not be written.
  virtual absl::Status CheckRoom(const std::vector<KvWrite>& writes) = 0;

  // All or none, synced. Every family must be one that it was opened with.
  virtual absl::Status Write(const std::vector<const KvWrite*>& writes) = 0;
  virtual absl::StatusOr<std::optional<std::string>> Get(const std::string& family,
                                                         const std::string& key) = 0;
  virtual absl::StatusOr<std::vector<std::string>> Keys(const std::string& family,
                                                        const std::string& prefix) = 0;
  virtual absl::StatusOr<std::vector<KvEntry>> Scan(const std::string& family,
                                                    const std::string& after, size_t limit) = 0;
};

}  // namespace baton
