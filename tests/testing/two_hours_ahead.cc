// A library to preload: a program's clock is two hours ahead, what it measures by is not.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern "C" int clock_gettime(clockid_t clock, timespec* now) {
  constexpr time_t kAhead = 2 * 60 * 60;
  const long result = syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += kAhead;
  return static_cast<int>(result);
}
