#include "job/problems.h"

#include "fmt/format.h"

namespace baton {

std::string Place::ToString() const {
  if (parent_ == nullptr) return "";
  std::string text = parent_->ToString();
  if (field_.empty()) return text + fmt::format("[{}]", index_);
  if (!text.empty()) text += '.';
  return text.append(field_);
}

bool ProblemList::IsExplained(const std::string& place) const {
  if (places_.contains(place)) return true;
  for (size_t i = 1; i < place.size(); ++i) {
    const bool boundary = place[i] == '.' || place[i] == '[';
    if (boundary && places_.contains(place.substr(0, i))) return true;
  }
  return false;
}

void ProblemList::AddText(const std::string& place, std::string text) {
  if (full() || IsExplained(place)) return;
  places_.insert(place);
  problems_.push_back(fmt::format("{}: {}", place.empty() ? "job" : place, text));
}

std::vector<std::string> ProblemList::Take() {
  if (full()) problems_.push_back(fmt::format("only the first {} problems are listed", most_));
  return std::move(problems_);
}

}  // namespace baton
