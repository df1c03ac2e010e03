/* SPDX-License-Identifier: Apache-2.0 */
/* The lists, and the filter itself in child processes, since it cannot be taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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

static int do_ask_terminal(void)
{
    char c = 'x';

    return ioctl(open("/dev/null", O_RDONLY), TIOCSTI, &c) == 0 ? 0 : errno;
}

static int do_ask_bytes(void)
{
    int count;

    return ioctl(open("/dev/null", O_RDONLY), FIONREAD, &count) == 0 ? 0 : errno;
}

static int map(int protection)
{
    void *page = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page != MAP_FAILED ? 0 : errno;
}

static int do_map_data(void)
{
    return map(PROT_READ | PROT_WRITE);
}

static int do_map_code(void)
{
    return map(PROT_READ | PROT_EXEC);
}

static int do_map_both(void)
{
    return map(PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int do_make_executable(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
}

static int do_load_bpf(void)
{
    char attr[64] = {0};

    return syscall(SYS_bpf, BPF_PROG_LOAD, attr, sizeof(attr)) >= 0 ? 0 : errno;
}

static int do_look_up_bpf(void)
{
    char attr[64] = {0};

    /* Its descriptor 0 is no map. */
    return syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, attr, sizeof(attr)) >= 0 ? 0 : errno;
}

#ifdef __x86_64__
/* getpid by its number of i386. */
static int do_other_architecture(void)
{
    long rax = 20;

    __asm__ volatile("int $0x80" : "+a"(rax) : : "memory");
    return rax > 0 ? 0 : 95;
}
#endif

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

static void load__memory_is_written_or_executed(void **state)
{
    (void)state;
    answers("", do_map_data, 0);
    answers("", do_map_code, 0);
    answers("", do_map_both, EPERM);
    answers("", do_make_executable, EPERM);
}

static void load__some_requests_of_ioctl_and_bpf(void **state)
{
    (void)state;
    answers("", do_ask_terminal, EPERM);
    answers("", do_ask_bytes, ENOTTY);
    answers("", do_load_bpf, EPERM);
    if (geteuid() == 0) /* else the kernel may say EPERM itself */
        answers("", do_look_up_bpf, EINVAL);
}

#ifdef __x86_64__
static void load__other_architectures_kill(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(do_other_architecture());
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        dies(do_other_architecture); /* this kernel has that one */
}
#endif

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
        cmocka_unit_test(load__memory_is_written_or_executed),
        cmocka_unit_test(load__some_requests_of_ioctl_and_bpf),
#ifdef __x86_64__
        cmocka_unit_test(load__other_architectures_kill),
#endif
        cmocka_unit_test(load__what_an_intruder_does_kills),
        cmocka_unit_test(load__extra_calls_are_allowed_whole),
        cmocka_unit_test(load__once_for_good),
        cmocka_unit_test(load__refuses_names_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
