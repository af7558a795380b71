#include "base/suggest.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace baton {
namespace {

constexpr size_t kMaxCompared = 64;
constexpr size_t kMaxQuoted = 64;

char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Levenshtein, without regard to case.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (Lower(a[i]) == Lower(b[j]) ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row[b.size()];
}

}  // namespace

std::string DidYouMean(std::string_view name, std::span<const std::string_view> known) {
  if (name.size() < 3 || name.size() > kMaxCompared) return "";
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (std::string_view candidate : known) {
    const size_t distance = Distance(name, candidate);
    if (distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best.empty() ? "" : fmt::format("; did you mean \"{}\"?", best);
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  size_t end = std::min(text.size(), kMaxQuoted);
  // Never cut inside a UTF-8 sequence: the message travels as JSON.
  while (end > 0 && end < text.size() && (text[end] & 0xC0) == 0x80) --end;
  for (char c : text.substr(0, end)) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + (end < text.size() ? "…\"" : "\"");
}

}  // namespace baton
