// A directory on a file system of its own (tmpfs), which can be made full and be given room again
// in an instant: it shrinks to what it holds, and grows back. Needs the rights of root.
//
// It is mounted in a mount namespace that only this program and the processes that it starts from
// then on live in: the kernel removes it with the last of them, however that ends. Somebody else on
// this machine sees an empty directory.
//
// Threading: made by the thread that starts the processes, before it starts any other thread; then
// any thread of the program, one at a time. Blocking.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace baton {

class SmallDisk {
 public:
  // kFailedPrecondition: `directory` holds something already, or the right to mount is missing.
  static absl::StatusOr<std::unique_ptr<SmallDisk>> Make(const std::string& directory);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;

  // Room for so many bytes is left; 0: for none. kInternal with the kernel's words.
  absl::Status Fill(uint64_t left_bytes);
  absl::Status Free();

  // What it holds stays in the directory; whoever has files open there must have ended. Harmless a
  // second time.
  absl::Status Remove();

 private:
  explicit SmallDisk(std::string directory) : directory_(std::move(directory)) {}
  absl::Status Resize(uint64_t bytes) const;

  const std::string directory_;
  bool mounted_ = true;
};

}  // namespace baton
