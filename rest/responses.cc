#include "rest/responses.h"

#include "base/status.h"
#include "rest/json_shapes.h"

namespace baton {

HttpResponse JsonResponse(int status, std::string json) {
  HttpResponse response;
  response.status = status;
  response.SetHeader("Content-Type", kJsonContentType);
  response.body = std::move(json);
  return response;
}

HttpResponse TextResponse(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.SetHeader("Content-Type", "text/plain; charset=UTF-8");
  response.body = std::move(text);
  return response;
}

HttpResponse ErrorResponse(int status, const std::vector<std::string>& errors) {
  HttpResponse response = JsonResponse(status, ErrorsJson(errors));
  if (status == 429 || status == 503) response.SetHeader("Retry-After", "1");
  return response;
}

HttpResponse ErrorResponse(int status, std::string error) {
  return ErrorResponse(status, std::vector<std::string>{std::move(error)});
}

int HttpStatusOf(const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    // Deposed, late or of unknown outcome: to the client all of them mean "ask again", which is
    // safe because every submission has an id.
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
      return 503;
    default:
      return 500;
  }
}

HttpResponse ErrorResponse(const absl::Status& error) {
  return ErrorResponse(HttpStatusOf(error), Message(error));
}

}  // namespace baton
