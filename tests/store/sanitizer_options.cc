// RocksDB as Debian builds it is not instrumented: the sanitizer sees the memory that its threads
// share, but not the atomics by which they hand it on.

extern "C" const char* __tsan_default_suppressions() { return "race:librocksdb.so\n"; }
