#include "cli/drill/start_trace.h"

#include <fstream>
#include <sstream>
#include <utility>

namespace baton {
namespace {

// The id; empty: the line is malformed.
std::string Parse(const std::string& line, TaskStart* start) {
  std::istringstream fields(line);
  std::string id;
  uint64_t attempt = 0;
  uint64_t pid = 0;
  if (!(fields >> id >> attempt >> pid >> start->at_ns >> std::ws)) return "";
  // The rest of the line: a directory's name may have spaces in it.
  return std::getline(fields, start->place) && start->place.starts_with('/') ? id : "";
}

}  // namespace

void StartTrace::Refresh() {
  std::ifstream file(path_, std::ios::binary);
  if (!file) return;
  file.seekg(static_cast<std::streamoff>(offset_));
  std::stringstream added;
  added << file.rdbuf();
  offset_ += Consume(added.str());
}

size_t StartTrace::Consume(std::string_view text) {
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', begin)) {
    TaskStart start;
    const std::string id = Parse(std::string(text.substr(begin, end - begin)), &start);
    if (id.empty()) {
      ++malformed_;
    } else {
      starts_[id].push_back(std::move(start));
    }
    begin = end + 1;
  }
  return begin;
}

uint64_t StartTrace::StartsOf(const std::string& id) const {
  const auto found = starts_.find(id);
  return found == starts_.end() ? 0 : found->second.size();
}

std::vector<std::string> StartTrace::Repeated() const {
  std::vector<std::string> ids;
  for (const auto& [id, starts] : starts_) {
    if (starts.size() > 1) ids.push_back(id);
  }
  return ids;
}

std::vector<std::string> StartTrace::Missing(const std::vector<std::string>& ids) const {
  std::vector<std::string> missing;
  for (const std::string& id : ids) {
    if (!starts_.contains(id)) missing.push_back(id);
  }
  return missing;
}

uint64_t StartTrace::ExtraStarts() const {
  uint64_t extra = 0;
  for (const auto& [id, starts] : starts_) extra += starts.size() - 1;
  return extra;
}

}  // namespace baton
