// A callback that is certain to be called (P8): if it is dropped uncalled — the leader process has
// ended and with it whatever held the callback — it answers kAborted, and whoever asked turns to
// the next leader.

#pragma once

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/status.h"

namespace baton {

template <class Answer>  // absl::Status or absl::StatusOr<T>
class AnswerOnce {
 public:
  explicit AnswerOnce(absl::AnyInvocable<void(Answer)> callback) : callback_(std::move(callback)) {}
  AnswerOnce(AnswerOnce&& other) noexcept : callback_(std::exchange(other.callback_, nullptr)) {}
  AnswerOnce& operator=(AnswerOnce&&) = delete;
  ~AnswerOnce() {
    if (callback_) callback_(Aborted("this replica does not lead any more"));
  }

  void operator()(Answer answer) {
    if (auto callback = std::exchange(callback_, nullptr)) callback(std::move(answer));
  }

 private:
  absl::AnyInvocable<void(Answer)> callback_;
};

template <class Answer>
absl::AnyInvocable<void(Answer)> EnsureAnswered(absl::AnyInvocable<void(Answer)> callback) {
  return AnswerOnce<Answer>(std::move(callback));
}

}  // namespace baton
