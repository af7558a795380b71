// Bytes to and from a server, as a client that need not be polite sends them. Reads fail after a
// generous deadline.

#pragma once

#include <string>

namespace baton {

class RawClient {
 public:
  explicit RawClient(const std::string& address);
  RawClient(RawClient&& other) noexcept;
  ~RawClient();

  void Send(const std::string& bytes);
  // Everything received up to and with `text`.
  std::string ReadUntil(const std::string& text);
  // Everything received until the server closes.
  std::string ReadToEnd();
  void Close();

 private:
  // False: closed, or the deadline has passed.
  bool ReadSome();

  int fd_ = -1;
  std::string received_;
};

}  // namespace baton
