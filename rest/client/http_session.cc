#include "rest/client/http_session.h"

#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "cpprest/http_client.h"
#include "pplx/threadpool.h"

namespace baton {
namespace {

using web::http::http_exception;
using web::http::http_request;
using web::http::http_response;
using web::http::client::http_client;
using web::http::client::http_client_config;

// The library's default is 40 threads; callers block in threads of their own, these only do the
// socket work.
void BoundLibraryThreads() {
  static std::once_flag once;
  std::call_once(once, [] {
    try {
      crossplat::threadpool::initialize_with_threads(4);
      // NOLINTNEXTLINE(bugprone-empty-catch): somebody used the library before, its pool stays
    } catch (const std::exception&) {
    }
  });
}

bool SafeToRepeat(const std::string& method, const HttpSession::Headers& headers) {
  return method != "POST" && method != "PATCH" ? true : headers.contains("Idempotency-Key");
}

http_request MakeRequest(const std::string& method, const std::string& path,
                         const std::string& body, const HttpSession::Headers& headers) {
  http_request request(method);
  request.set_request_uri(web::uri(path));
  if (!body.empty()) request.set_body(body, "application/json");
  for (const auto& [name, value] : headers) request.headers().add(name, value);
  return request;
}

RestReply ReadReply(http_response response) {
  RestReply reply;
  reply.status = response.status_code();
  for (const auto& [name, value] : response.headers())
    reply.headers[absl::AsciiStrToLower(name)] = value;
  reply.replica = reply.headers["x-baton-replica"];
  const auto bytes = response.extract_vector().get();
  reply.body.assign(bytes.begin(), bytes.end());
  return reply;
}

absl::Status FromException(const std::string& server, const std::exception& error) {
  const auto* http = dynamic_cast<const http_exception*>(&error);
  if (http != nullptr && http->error_code() == std::errc::timed_out) {
    return DeadlineExceeded("no answer from {} in time", server);
  }
  return Unavailable("nobody answers at {}: {}", server, error.what());
}

absl::StatusOr<RestReply> Exchange(http_client& client, const http_request& request,
                                   const std::string& server) {
  try {
    return ReadReply(client.request(request).get());
  } catch (const std::exception& error) {
    return FromException(server, error);
  }
}

}  // namespace

struct HttpSession::Impl {
  web::uri uri;
  http_client_config config;
  http_client client;

  Impl(const web::uri& server, const http_client_config& settings)
      : uri(server), config(settings), client(server, settings) {}
};

absl::StatusOr<std::unique_ptr<HttpSession>> HttpSession::Open(Options options) {
  BoundLibraryThreads();
  try {
    const web::uri uri(options.server);
    if (uri.scheme() != "http" && uri.scheme() != "https") {
      return InvalidArgument("\"{}\" is no http:// or https:// URL", options.server);
    }
    http_client_config config;
    config.set_timeout(options.timeout);
    auto impl = std::make_unique<Impl>(uri, config);
    return std::unique_ptr<HttpSession>(new HttpSession(std::move(options), std::move(impl)));
  } catch (const std::exception& error) {
    return InvalidArgument("\"{}\" is no URL: {}", options.server, error.what());
  }
}

HttpSession::HttpSession(Options options, std::unique_ptr<Impl> impl)
    : options_(std::move(options)), impl_(std::move(impl)) {}

HttpSession::~HttpSession() = default;

absl::StatusOr<RestReply> HttpSession::Send(const std::string& method, const std::string& path,
                                            const std::string& body, const Headers& headers) {
  http_request request;
  try {
    request = MakeRequest(method, path, body, headers);
  } catch (const std::exception& error) {
    return InvalidArgument("\"{}\" is no path: {}", path, error.what());
  }
  if (!SafeToRepeat(method, headers)) {
    // A connection from the pool may be dead already, and a second try might be a second effect:
    // such a request always gets a connection of its own.
    http_client fresh(impl_->uri, impl_->config);
    return Exchange(fresh, request, options_.server);
  }
  auto reply = Exchange(impl_->client, request, options_.server);
  if (reply.ok() || options_.on_broken == OnBrokenConnection::kFail ||
      absl::IsDeadlineExceeded(reply.status())) {
    return reply;
  }
  http_client fresh(impl_->uri, impl_->config);
  return Exchange(fresh, MakeRequest(method, path, body, headers), options_.server);
}

}  // namespace baton
