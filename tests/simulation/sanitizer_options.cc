// A killed process drops what it was doing in the middle: objects that hold each other until their
// next step (a link in its handshake, a call under way) are left behind, as the kernel would take
// them with the process. So leaks mean nothing here; each room's own tests look for them.

#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif
