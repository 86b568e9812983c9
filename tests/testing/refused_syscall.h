// A kernel that lacks a system call, or a container that forbids it.
#ifndef CERTCAST_TESTS_TESTING_REFUSED_SYSCALL_H_
#define CERTCAST_TESTS_TESTING_REFUSED_SYSCALL_H_

namespace certcast::testing {

// From now on that system call fails with `error` in this thread, in the threads that it starts and in the programs
// that they run; nothing undoes it. By a seccomp filter, Linux on x86-64. Ends the test program where there is none.
// Makes only async-signal-safe calls.
void RefuseSystemCall(long number, int error);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_REFUSED_SYSCALL_H_
