#include "cli/run/run_output.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

using Json = nlohmann::json;

constexpr size_t kTailLines = 20;
constexpr uint64_t kTailBytes = 16 << 10;
// A task that writes faster than this is shown in turns with the others.
constexpr int kPiecesInTurn = 16;

constexpr std::array<const char*, 10> kLife = {
    "CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RECONCILING",
    "RUNNING", "FINISHED",  "CANCELING", "CANCELED",     "FAILED"};

struct SubtaskRow {
  uint32_t subtask = 0;
  uint32_t attempt = 0;
  std::string state;
};

// Those that have been started.
std::vector<SubtaskRow> ReadSubtasks(RestClient& client, const std::string& job,
                                     const std::string& vertex) {
  std::vector<SubtaskRow> rows;
  const auto reply = client.Get(fmt::format("/v1/jobs/{}/vertices/{}", job, vertex));
  if (!reply.ok() || !reply->ok()) return rows;
  const Json answer = Json::parse(reply->body, nullptr, false);
  if (!answer.is_object() || !answer.contains("subtasks")) return rows;
  for (const Json& subtask : answer["subtasks"]) {
    SubtaskRow row{subtask.value("subtask", 0U), subtask.value("attempt", 0U),
                   subtask.value("status", "")};
    if (row.state != "CREATED" && row.state != "SCHEDULED") rows.push_back(std::move(row));
  }
  return rows;
}

std::string RootCause(RestClient& client, const std::string& job) {
  const auto reply = client.Get(fmt::format("/v1/jobs/{}/exceptions", job));
  if (!reply.ok() || !reply->ok()) return "";
  const Json answer = Json::parse(reply->body, nullptr, false);
  if (!answer.is_object()) return "";
  const auto cause = answer.find("root-exception");
  return cause != answer.end() && cause->is_string() ? cause->get<std::string>() : "";
}

std::string TaskName(const VertexRow& vertex, uint32_t subtask) {
  return vertex.parallelism == 1 ? vertex.id : fmt::format("{}[{}]", vertex.id, subtask);
}

std::string Tail(const std::string& text) {
  size_t from = text.size();
  for (size_t lines = 0; from > 0 && lines < kTailLines; ++lines) {
    const size_t newline = text.rfind('\n', from - 1 - (lines == 0 && text.ends_with('\n')));
    if (newline == std::string::npos) return text;
    from = newline;
  }
  return from == 0 ? text : text.substr(from + 1);
}

}  // namespace

std::string CountsText(const std::map<std::string, int64_t>& tasks) {
  std::string text;
  for (const char* state : kLife) {
    const auto count = tasks.find(state);
    if (count == tasks.end() || count->second == 0) continue;
    std::string word(state);
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", word, count->second);
  }
  return text;
}

std::string SpanText(int64_t ms) {
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  return fmt::format("{} min {} s", ms / 60'000, ms / 1000 % 60);
}

std::string ProgressLines::Next(const JobView& view) {
  std::string lines;
  for (const VertexRow& vertex : view.vertices) {
    const std::string counts = CountsText(vertex.tasks);
    std::string& shown = shown_[vertex.id];
    if (counts == shown) continue;
    shown = counts;
    lines += fmt::format("{:>9}  {:24}  {}\n", SpanText(view.duration_ms), vertex.id, counts);
  }
  return lines;
}

bool TaskOutput::CopyNew(const JobView& view) {
  bool complete = true;
  for (const VertexRow& vertex : view.vertices) {
    FindSources(vertex);
    for (auto& [name, source] : sources_) {
      if (std::get<0>(name) == vertex.id && !source.ended) complete &= Copy(vertex, name, source);
    }
  }
  std::fflush(stdout);
  return complete;
}

void TaskOutput::FindSources(const VertexRow& vertex) {
  for (const SubtaskRow& row : ReadSubtasks(client_, job_, vertex.id)) {
    for (const Stream stream : {Stream::kStdout, Stream::kStderr}) {
      sources_.try_emplace({vertex.id, row.subtask, row.attempt, stream});
    }
  }
}

// True: there is no more, now and for ever.
bool TaskOutput::Copy(const VertexRow& vertex, const Name& name, Source& source) {
  LogRequest request;
  request.job = job_;
  request.vertex = vertex.id;
  request.subtask = std::get<1>(name);
  request.attempt = std::get<2>(name);
  request.stream = std::get<3>(name) == Stream::kStdout ? "stdout" : "stderr";
  for (int piece = 0; piece < kPiecesInTurn; ++piece) {
    request.offset = source.offset;
    const auto copied = client_.Logs(request);
    if (!copied.ok()) return false;
    source.offset += copied->text.size();
    source.line += copied->text;
    source.ended = copied->ended && source.offset >= copied->size;
    PrintLines(vertex, name, source);
    if (source.ended || copied->text.empty()) break;
  }
  return source.ended;
}

void TaskOutput::PrintLines(const VertexRow& vertex, const Name& name, Source& source) {
  if (source.ended && !source.line.empty() && !source.line.ends_with('\n')) source.line += '\n';
  std::FILE* const out = std::get<3>(name) == Stream::kStdout ? stdout : stderr;
  const std::string task = TaskName(vertex, std::get<1>(name));
  size_t from = 0;
  for (size_t end; (end = source.line.find('\n', from)) != std::string::npos; from = end + 1) {
    fmt::print(out, "{} | {}\n", task, source.line.substr(from, end - from));
  }
  source.line.erase(0, from);
}

std::string FailureText(RestClient& client, const JobView& view) {
  std::string text = RootCause(client, view.id);
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  for (const VertexRow& vertex : view.vertices) {
    for (const SubtaskRow& row : ReadSubtasks(client, view.id, vertex.id)) {
      if (row.state != "FAILED") continue;
      LogRequest request;
      request.job = view.id;
      request.vertex = vertex.id;
      request.subtask = row.subtask;
      request.attempt = row.attempt;
      request.stream = "stderr";
      auto log = client.Logs(request);
      if (log.ok() && log->size > kTailBytes) {
        request.offset = log->size - kTailBytes;
        log = client.Logs(request);
      }
      if (!log.ok() || log->text.empty()) return text;
      return text + fmt::format("the last lines of stderr of {}, attempt {}:\n{}",
                                TaskName(vertex, row.subtask), row.attempt, Tail(log->text));
    }
  }
  return text;
}

}  // namespace baton
