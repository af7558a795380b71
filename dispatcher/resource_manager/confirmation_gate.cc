#include "dispatcher/resource_manager/confirmation_gate.h"

#include "base/deliberate_break.h"

namespace baton {

void ConfirmationGate::Pass(Callback callback) {
  if (Broken(Break::kHeartbeatsUnconfirmed)) return callback(absl::OkStatus());
  waiting_.push_back(std::move(callback));
  if (under_way_ < kMaxUnderWay) Begin();
}

void ConfirmationGate::Begin() {
  ++under_way_;
  fence_->Confirm(
      BindTo(executor_,
             IfAlive(weak_from_this(), [passed = std::exchange(waiting_, {})](
                                           ConfirmationGate& self, absl::Status status) mutable {
               --self.under_way_;
               for (Callback& callback : passed) callback(status);
               if (!self.waiting_.empty() && self.under_way_ < kMaxUnderWay) self.Begin();
             })));
}

}  // namespace baton
