// baton-guardian: started by a TaskManager (with its id, for ps) with the socket as descriptor 3.

#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "taskmanager/guardian/guardian.h"

namespace {

constexpr int kSocket = 3;

}  // namespace

int main() {
  sockaddr address{};
  socklen_t size = sizeof address;
  if (getsockname(kSocket, &address, &size) != 0 || address.sa_family != AF_UNIX) {
    std::fprintf(stderr, "baton-guardian is started by baton-taskmanager, not by hand\n");
    return 2;
  }
  // Out of the terminal's group: Ctrl-C ends the TaskManager first, which ends its tasks in order.
  setsid();
  return baton::guardian::Guardian(kSocket).Run();
}
