/* SPDX-License-Identifier: Apache-2.0 */
/* syscall_filter.h - the system calls that a running node may make.

   `seccomp: on` loads a filter into the kernel once the node runs, for all threads there are and
   all that come.  It cannot be taken back.  What a call meets:

     on the list of syscall_filter.c              it is made
     on its list of calls that only an intruder   the process is killed (SIGSYS)
     makes (execve, ptrace, mount, modules, ...)
     of another architecture's numbers            the process is killed
     anything else                                EPERM, and a line in the kernel's audit log
                                                  (type=1326, with the number)

   EPERM and not death for the rest: a call that we have missed, or that the next libc makes, must
   not end a node that serves thousands of actors; the audit line says what it was.  clone3 gets
   ENOSYS, because its flags lie in memory, where no filter can look: libc then uses clone, which
   may make threads and nothing else.  A filter sees numbers and not paths: files can be opened
   for reading only, wherever they are; what must be written has to be open before.

   Handlers and offloaded jobs are under it too.  `seccomp_allow` adds calls by name, whole, also
   over the list of those that kill.

   Threads: one ordinary thread.  Units: none.  Errors: enum proa_outcome with one sentence.
   x86_64 and aarch64 only. */
#ifndef SYSCALL_FILTER_H
#define SYSCALL_FILTER_H

#include <proa/node.h>

/* syscall_filter_known: there is a system call of that name, on whatever architecture. */
bool syscall_filter_known(const char *name);

/* syscall_filter_load loads it, with the `extra` calls of config's seccomp_allow on top.  A
   process has one for good: OK at once when it has it already and extra adds nothing.
   BAD_CONFIG: no such system call, the process' filter has fewer calls, or the kernel has no
   seccomp; NO_MEMORY. */
enum proa_outcome syscall_filter_load(const char (*extra)[PROA_SYSCALL_MAX + 1],
                                      unsigned count, char *err, size_t err_len);

/* The lists, for tests: the name at index, NULL behind the last. */
const char *syscall_filter_allowed(unsigned index);
const char *syscall_filter_deadly(unsigned index);

#endif
