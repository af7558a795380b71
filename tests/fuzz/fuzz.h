// What the fuzz targets share: checks that libFuzzer sees, and an input taken apart.
//
// A target is a program of its own (libFuzzer's main): it is given bytes, and must neither crash
// nor break the property that its file states. Everything in one thread and without clocks, so that
// a finding is found again.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace baton::fuzz {

// Whatever the compiler's assertions are set to: a broken property ends the program.
#define FUZZ_CHECK(condition, shown)                                                \
  do {                                                                              \
    if (!(condition)) ::baton::fuzz::Fail(__FILE__, __LINE__, #condition, (shown)); \
  } while (false)

[[noreturn]] inline void Fail(const char* file, int line, const char* condition,
                              const std::string& shown) {
  std::fprintf(stderr, "%s:%d: broken property: %s\n%s\n", file, line, condition, shown.c_str());
  std::abort();
}

// Takes numbers and byte strings from the front of the input; at its end they are zero and empty.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }

  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  // Two bytes of length, then that many bytes: lengths that libFuzzer can change.
  std::string Piece() {
    const size_t high = Byte();
    const size_t size = high << 8 | Byte();
    const std::string_view piece = rest_.substr(0, size);
    rest_.remove_prefix(piece.size());
    return std::string(piece);
  }

  std::string Rest() { return std::string(std::exchange(rest_, {})); }

 private:
  std::string_view rest_;
};

}  // namespace baton::fuzz
