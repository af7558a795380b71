// What the sanitizers find in ZooKeeper's C client and we cannot mend: it formats addresses for its
// log in one static buffer, and forgets a completion now and then when a handle is closed with
// calls under way.

extern "C" const char* __tsan_default_suppressions() { return "race:libzookeeper_mt.so\n"; }
extern "C" const char* __lsan_default_suppressions() { return "leak:libzookeeper_mt.so\n"; }
