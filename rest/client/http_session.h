// Plain HTTP exchanges with one server, over cpprestsdk.
//
// Threading: any thread; every call blocks until it is answered or its timeout has passed, so none
// may be made on an Executor. Ends with its owner; no request is running then.

#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace baton {

struct RestReply {
  int status = 0;
  std::string body;
  std::string replica;                         // X-Baton-Replica: who answered
  std::map<std::string, std::string> headers;  // names in lower case

  bool ok() const { return status >= 200 && status < 300; }
};

// What may be done when an exchange breaks off without an answer.
enum class OnBrokenConnection {
  // Once more on another connection, if the request is safe to repeat (GET, HEAD, PUT, DELETE, or
  // one with an Idempotency-Key): a kept-alive connection may have died unseen.
  kRepeatIfSafe,
  kFail,  // for who measures
};

class HttpSession {
 public:
  struct Options {
    std::string server;  // "http://host:port"
    std::chrono::milliseconds timeout = std::chrono::seconds(30);
    OnBrokenConnection on_broken = OnBrokenConnection::kRepeatIfSafe;
  };
  using Headers = std::map<std::string, std::string>;

  // kInvalidArgument: `server` is no URL.
  static absl::StatusOr<std::unique_ptr<HttpSession>> Open(Options options);
  ~HttpSession();

  const std::string& server() const { return options_.server; }

  // Any answer, whatever its status. kUnavailable: nobody answers there; kDeadlineExceeded: no
  // answer in time. A POST that broke off may have had its effect.
  absl::StatusOr<RestReply> Send(const std::string& method, const std::string& path,
                                 const std::string& body = "", const Headers& headers = {});

 private:
  struct Impl;
  HttpSession(Options options, std::unique_ptr<Impl> impl);

  Options options_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
