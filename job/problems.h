// What is wrong with an input, all of it at once, each with its place.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fmt/core.h"

namespace baton {

// Where in a document: "vertices[3].parallelism". A link to the place it stands in, so that nothing
// is written out until there is a problem. Lives on the stack of whoever reads; a place that is
// kept in a variable needs its parent in one too.
class Place {
 public:
  Place() = default;  // the document itself
  Place At(std::string_view field) const { return Place(this, field, 0); }
  Place At(size_t index) const { return Place(this, {}, index); }

  std::string ToString() const;

 private:
  Place(const Place* parent, std::string_view field, size_t index)
      : parent_(parent), field_(field), index_(index) {}

  const Place* parent_ = nullptr;
  std::string_view field_;  // empty: an element of an array
  size_t index_ = 0;
};

// The list, bounded. What was found at a place first explains whatever is wrong there and in the
// places within it: that is not reported.
class ProblemList {
 public:
  explicit ProblemList(size_t most) : most_(most) {}

  template <class... Args>
  void Add(const std::string& place, fmt::format_string<Args...> format, Args&&... args) {
    AddText(place, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void Add(const Place& place, fmt::format_string<Args...> format, Args&&... args) {
    if (!full()) AddText(place.ToString(), fmt::format(format, std::forward<Args>(args)...));
  }

  bool empty() const { return problems_.empty(); }
  bool full() const { return problems_.size() >= most_; }

  // The last entry says so if there were more than the limit.
  std::vector<std::string> Take();

 private:
  void AddText(const std::string& place, std::string text);
  bool IsExplained(const std::string& place) const;

  const size_t most_;
  std::vector<std::string> problems_;
  std::unordered_set<std::string> places_;
};

}  // namespace baton
