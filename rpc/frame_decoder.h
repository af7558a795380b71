// The bytes of a connection taken apart into frames: 4 bytes length (big endian), then the frame.
//
// What it holds grows with what has come, never with what a header claims: whoever announces 16 MiB
// and sends nothing costs a few kilobytes.
//
// Threading: none; lives on the strand of its connection, which owns it.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace baton {

class FrameDecoder {
 public:
  static constexpr size_t kHeaderBytes = 4;
  static constexpr size_t kReadBytes = 16 << 10;

  struct Taken {
    std::vector<std::string> frames;
    size_t bytes = 0;        // of them, headers included
    bool oversized = false;  // the next one is longer than the limit: nothing more can be read
  };

  // Where the next bytes go, at least kReadBytes; Add says how many came. Valid until then.
  std::span<char> Room();
  void Add(size_t count) { filled_ += count; }

  // The frames that have come as a whole, of at most `limit` bytes each.
  Taken Take(size_t limit);

  // Memory that it holds, in bytes.
  size_t capacity() const { return buffer_.capacity(); }

 private:
  std::string buffer_;  // filled_ bytes of it hold data
  size_t filled_ = 0;
};

}  // namespace baton
