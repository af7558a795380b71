// A submission as it came over HTTP, checked and given its id on the replica that received it:
// what is sent on to the leader may be sent again (P2).

#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/random.h"
#include "job/job_graph.h"
#include "rest/http.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

// `path_id`: the id in the path of a PUT. Else the "jobid" field, else the id that belongs to the
// Idempotency-Key header, else a new one; if two of them are there, they must agree. The answer to
// a bad submission holds every problem with its place.
std::variant<SubmitRequest, HttpResponse> ReadSubmission(const HttpRequest& request,
                                                         const std::optional<JobId>& path_id,
                                                         const JobLimits& limits, Random& random);

// The same submission with the id in its path, which makes its repetition harmless at every hop.
HttpRequest WithIdInPath(const HttpRequest& request, const JobId& id);

}  // namespace baton
