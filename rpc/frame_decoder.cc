#include "rpc/frame_decoder.h"

#include <algorithm>
#include <cstdint>

#include "rpc/frame_transport.h"

namespace baton {
namespace {

uint32_t ReadHeader(const char* bytes) {
  const auto* digits = reinterpret_cast<const unsigned char*>(bytes);
  return (uint32_t{digits[0]} << 24) | (uint32_t{digits[1]} << 16) | (uint32_t{digits[2]} << 8) |
         digits[3];
}

}  // namespace

std::span<char> FrameDecoder::Room() {
  const size_t room = std::max(kReadBytes, std::min(filled_, kMaxFrameBytes));
  buffer_.resize(filled_ + room);
  return {buffer_.data() + filled_, room};
}

FrameDecoder::Taken FrameDecoder::Take(size_t limit) {
  Taken taken;
  while (filled_ - taken.bytes >= kHeaderBytes) {
    const size_t size = ReadHeader(buffer_.data() + taken.bytes);
    taken.oversized = size > limit;
    if (taken.oversized || filled_ - taken.bytes - kHeaderBytes < size) break;
    taken.frames.emplace_back(buffer_, taken.bytes + kHeaderBytes, size);
    taken.bytes += kHeaderBytes + size;
  }
  buffer_.resize(filled_);
  buffer_.erase(0, taken.bytes);
  filled_ -= taken.bytes;
  // Thousands of idle connections must not keep what one great frame needed.
  if (buffer_.empty() && buffer_.capacity() > 4 * kReadBytes) buffer_.shrink_to_fit();
  return taken;
}

}  // namespace baton
