#include "rest/submission.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/deliberate_break.h"
#include "fmt/core.h"
#include "rest/responses.h"

namespace baton {
namespace {

constexpr char kIdempotencyKey[] = "Idempotency-Key";
constexpr size_t kMaxKeyLength = 255;

bool IsJson(const std::string& content_type) {
  const std::string_view type = std::string_view(content_type).substr(0, content_type.find(';'));
  const size_t end = type.find_last_not_of(' ');
  if (end == std::string_view::npos) return true;  // none is said
  return absl::EqualsIgnoreCase({type.data(), end + 1}, "application/json");
}

std::variant<std::optional<JobId>, HttpResponse> IdOfKey(const std::string& key) {
  if (key.empty()) return std::nullopt;
  const bool printable = std::all_of(key.begin(), key.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
  });
  if (key.size() > kMaxKeyLength || !printable) {
    return ErrorResponse(
        400, fmt::format("{}: must be 1 to {} printable ASCII characters without blanks",
                         kIdempotencyKey, kMaxKeyLength));
  }
  return JobId::FromKey(key);
}

// What a client may say the id is, in words, and the id.
using NamedJobId = std::pair<const char*, std::optional<JobId>>;

std::variant<std::optional<JobId>, HttpResponse> Agree(const std::vector<NamedJobId>& ids) {
  const NamedJobId* first = nullptr;
  for (const NamedJobId& named : ids) {
    if (!named.second) continue;
    if (first && *first->second != *named.second) {
      return ErrorResponse(
          400, fmt::format("Two job ids that differ: {} says {}, {} says {}", first->first,
                           first->second->ToString(), named.first, named.second->ToString()));
    }
    if (!first) first = &named;
  }
  return first ? first->second : std::nullopt;
}

}  // namespace

std::variant<SubmitRequest, HttpResponse> ReadSubmission(const HttpRequest& request,
                                                         const std::optional<JobId>& path_id,
                                                         const JobLimits& limits, Random& random) {
  // It also keeps web pages of other origins from submitting: a form cannot send this type.
  if (const std::string type = request.Header("Content-Type"); !IsJson(type)) {
    return ErrorResponse(
        415, fmt::format("Content-Type: expected application/json, not {}; the body is the job's "
                         "graph in JSON",
                         type));
  }
  if (request.body.empty()) {
    return ErrorResponse(400, "body: is empty; expected the job's graph in JSON");
  }
  auto key_id = IdOfKey(request.Header(kIdempotencyKey));
  if (auto* bad = std::get_if<HttpResponse>(&key_id)) return std::move(*bad);

  JobProblems problems;
  std::optional<ParsedSubmission> parsed = ParseJobGraphJson(request.body, limits, &problems);
  if (!parsed) return ErrorResponse(400, problems.problems);

  auto agreed = Agree({{"the path", path_id},
                       {"the field jobid", parsed->job_id},
                       {kIdempotencyKey, std::get<std::optional<JobId>>(key_id)}});
  if (auto* bad = std::get_if<HttpResponse>(&agreed)) return std::move(*bad);
  const std::optional<JobId> id = std::get<std::optional<JobId>>(agreed);
  return SubmitRequest{id ? *id : random.NewJobId(), std::move(parsed->graph),
                       std::move(parsed->digest)};
}

HttpRequest WithIdInPath(const HttpRequest& request, const JobId& id) {
  if (Broken(Break::kForwardedWithoutId)) return request;
  HttpRequest with_id = request;
  with_id.method = "PUT";
  with_id.target = "/v1/jobs/" + id.ToString();
  std::erase_if(with_id.headers,
                [](const auto& header) { return SameHeaderName(header.first, kIdempotencyKey); });
  return with_id;
}

}  // namespace baton
