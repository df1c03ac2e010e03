/* SPDX-License-Identifier: Apache-2.0 */
/* The lists, and the filter itself in child processes, since it cannot be taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "syscall_filter.h"

static char err[256];

/* ---- The lists ---- */

static void lists__name_system_calls(void **state)
{
    (void)state;
    for (unsigned i = 0; syscall_filter_allowed(i) != NULL; i++) {
        if (!syscall_filter_known(syscall_filter_allowed(i)))
            fail_msg("%s", syscall_filter_allowed(i));
    }
    for (unsigned i = 0; syscall_filter_deadly(i) != NULL; i++) {
        if (!syscall_filter_known(syscall_filter_deadly(i)))
            fail_msg("%s", syscall_filter_deadly(i));
    }
    assert_false(syscall_filter_known("f00"));
    assert_false(syscall_filter_known(""));
}

static void lists__have_nothing_in_common(void **state)
{
    static const char *const never[] = {"setuid",
                                        "setresuid",
                                        "capset",
                                        "keyctl",
                                        "userfaultfd",
                                        "io_uring_setup",
                                        "perf_event_open",
                                        "init_module",
                                        "unshare",
                                        "setns",
                                        "clone3",
                                        "openat2",
                                        "open_by_handle_at",
                                        "vfork",
                                        "fork",
                                        "seccomp",
                                        "process_madvise",
                                        "pidfd_getfd",
                                        "modify_ldt",
                                        "mount"};

    (void)state;
    for (unsigned i = 0; syscall_filter_allowed(i) != NULL; i++) {
        const char *name = syscall_filter_allowed(i);

        for (unsigned j = 0; syscall_filter_deadly(j) != NULL; j++)
            assert_string_not_equal(name, syscall_filter_deadly(j));
        for (unsigned j = 0; j < sizeof(never) / sizeof(never[0]); j++)
            assert_string_not_equal(name, never[j]);
    }
}

/* ---- The filter ---- */

static int load(const char *extra)
{
    static char names[1][PROA_SYSCALL_MAX + 1];

    snprintf(names[0], sizeof(names[0]), "%s", extra);
    return syscall_filter_load((const char(*)[PROA_SYSCALL_MAX + 1]) names,
                               extra[0] != '\0' ? 1 : 0, err, sizeof(err)) == PROA_OK
               ? 0
               : -1;
}

/* The status of a child that runs fn under the filter and exits with what it returns. */
static int under(const char *extra, int (*fn)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(load(extra) == 0 ? fn() : 99);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Exits with its errno. */
static void answers(const char *extra, int (*fn)(void), int wanted)
{
    int status = under(extra, fn);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
        fail_msg("status %x, wanted exit %d", (unsigned)status, wanted);
}

static void dies(int (*fn)(void))
{
    int status = under("", fn);

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
        fail_msg("status %x, wanted SIGSYS", (unsigned)status);
}

static int do_read(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
}

static int do_write(void)
{
    return open("/dev/null", O_RDWR) >= 0 ? 0 : errno;
}

static int do_create(void)
{
    return open("/dev/null", O_RDONLY | O_CREAT, 0600) >= 0 ? 0 : errno;
}

static int do_packet(void)
{
    return socket(AF_PACKET, SOCK_DGRAM, 0) >= 0 ? 0 : errno;
}

static int do_raw(void)
{
    return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1) >= 0 ? 0 : errno;
}

static int do_udp(void)
{
    return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) >= 0 ? 0
                                                                               : errno;
}

static int do_fork(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return child > 0 ? 0 : errno;
}

static int do_kill(void)
{
    return kill(getpid(), 0) == 0 ? 0 : errno;
}

static int do_clone3(void)
{
    return syscall(SYS_clone3, NULL, 0) == 0 ? 0 : errno;
}

static void *note(void *arg)
{
    *(int *)arg = do_packet(); /* the filter is the new thread's too */
    return NULL;
}

static int do_thread(void)
{
    pthread_t thread;
    int seen = 0;

    if (pthread_create(&thread, NULL, note, &seen) != 0)
        return 98;
    pthread_join(thread, NULL);
    return seen;
}

static int do_execve(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return errno;
}

static int do_ptrace(void)
{
    return syscall(SYS_ptrace, 0, 0, 0, 0) == 0 ? 0 : errno;
}

static int do_mount(void)
{
    return syscall(SYS_mount, NULL, NULL, NULL, 0, NULL) == 0 ? 0 : errno;
}

static void load__files_are_read_only(void **state)
{
    (void)state;
    answers("", do_read, 0);
    answers("", do_write, EPERM);
    answers("", do_create, EPERM);
}

static void load__sockets_of_some_kinds_only(void **state)
{
    (void)state;
    answers("", do_udp, 0);
    answers("", do_packet, EPERM);
    answers("", do_raw, EPERM);
}

static void load__threads_but_no_processes(void **state)
{
    (void)state;
    answers("", do_thread, EPERM);
    answers("", do_fork, EPERM);
    answers("", do_clone3, ENOSYS);
    answers("", do_kill, EPERM);
}

static void load__what_an_intruder_does_kills(void **state)
{
    (void)state;
    dies(do_execve);
    dies(do_ptrace);
    dies(do_mount);
}

static void load__extra_calls_are_allowed_whole(void **state)
{
    (void)state;
    answers("openat", do_write, 0);
    answers("openat", do_packet, EPERM);
    answers("mount", do_mount, EFAULT);
    answers("kill", do_kill, 0);
}

static int do_again(void)
{
    if (load("") != 0)
        return 97; /* the same once more is nothing */
    return load("kill") != 0 && strstr(err, "has its filter already") != NULL ? 0 : 96;
}

static void load__once_for_good(void **state)
{
    (void)state;
    answers("", do_again, 0);
}

static void load__refuses_names_that_are_none(void **state)
{
    (void)state;
    assert_int_equal(load("f00"), -1);
    assert_string_equal(err, "seccomp_allow: there is no system call 'f00'");
    assert_int_equal(do_fork(), 0); /* nothing was loaded */
    while (wait(NULL) > 0)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists__name_system_calls),
        cmocka_unit_test(lists__have_nothing_in_common),
        cmocka_unit_test(load__files_are_read_only),
        cmocka_unit_test(load__sockets_of_some_kinds_only),
        cmocka_unit_test(load__threads_but_no_processes),
        cmocka_unit_test(load__what_an_intruder_does_kills),
        cmocka_unit_test(load__extra_calls_are_allowed_whole),
        cmocka_unit_test(load__once_for_good),
        cmocka_unit_test(load__refuses_names_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
