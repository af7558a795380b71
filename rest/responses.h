// Answers as Flink's clients expect them: JSON, and errors as {"errors": ["…"]} with that one
// field.

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "rest/http.h"

namespace baton {

inline constexpr char kJsonContentType[] = "application/json; charset=UTF-8";

// Flink's sentence; its dashboard shows it and its client tries again.
inline constexpr char kNoLeaderSentence[] =
    "Service temporarily unavailable due to an ongoing leader election. Please refresh.";

HttpResponse JsonResponse(int status, std::string json);
HttpResponse TextResponse(int status, std::string text);

// 429 and 503 carry Retry-After: 1.
HttpResponse ErrorResponse(int status, const std::vector<std::string>& errors);
HttpResponse ErrorResponse(int status, std::string error);

// The status that a client sees for an error of a gateway (base/status.h says what each means).
int HttpStatusOf(const absl::Status& error);
HttpResponse ErrorResponse(const absl::Status& error);

}  // namespace baton
