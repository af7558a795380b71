// How far the store's files were acknowledged, in a small file beside them.
//
// RocksDB takes a log that ends early, or within a record, for one that was being written when the
// power failed: it forgets what stood behind and opens. The same holds of its MANIFEST, and then it
// deletes the tables that it no longer knows. So files that were cut short, or in which a length is
// damaged, would silently lose what was acknowledged. The mark says how far the log went when the
// last write was acknowledged, and how long the MANIFEST was.
//
// It is written after both are synced, and not synced itself: the death of the process loses
// nothing of it, and a mark that a power failure set back only proves less. It is never ahead of
// them, so it never accuses an intact store.
//
// Threading: the thread that writes to the database. Blocks for a write into the page cache, and
// for a sync of the MANIFEST when that has grown.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace baton {

class AcknowledgedMark {
 public:
  static constexpr const char* kFileName = "ACKNOWLEDGED";

  // `directory` is the store's.
  explicit AcknowledgedMark(const std::string& directory);
  ~AcknowledgedMark();
  AcknowledgedMark(const AcknowledgedMark&) = delete;

  // Before RocksDB opens it. kDataLoss: the MANIFEST is shorter than it was.
  absl::Status CheckManifest() const;

  // The sequence number up to which everything was acknowledged. None: there is no mark yet, or it
  // is unreadable and proves nothing.
  std::optional<uint64_t> Read() const;

  // Everything up to this sequence number is acknowledged. What cannot be written is left out: an
  // older mark stays true.
  void Write(uint64_t sequence);

 private:
  struct Mark {
    uint64_t sequence = 0;
    std::string manifest;  // its name
    uint64_t manifest_bytes = 0;
  };

  static std::string ToLine(const Mark& mark);
  std::optional<Mark> ReadMark() const;
  // The name that CURRENT says.
  std::string CurrentManifest() const;
  void NoteManifest();

  const std::string directory_;
  const std::string file_;
  int fd_ = -1;           // opened by the first Write
  int manifest_fd_ = -1;  // likewise
  Mark last_;
};

}  // namespace baton
